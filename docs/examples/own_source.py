r"""A data set of your own: handwritten digits, from a package or any file.

    pip install scikit-learn
    python -m launch.train --dataset=docs/examples/own_source.py:load \
        --dataset_arg=test_fraction=0.2 --model=mlp --num_epochs=30 \
        --workdir=/tmp/digits

A source is a function that returns NumPy arrays [num_examples, ...] by feature,
for each split. Everything else follows from the arrays: shapes, dtypes, the
task (integer labels are classes), and how examples are placed and batched. If
there is no validation split, it is taken from the training split.
"""

import numpy as np
from sklearn import datasets


def load(test_fraction: float = 0.2) -> dict[str, object]:
  """Loads 1797 digits, images of 8 x 8 bytes.

  Args:
    test_fraction: The fraction of the digits in the test split.

  Returns:
    The splits, and the names of the classes.
  """
  digits = datasets.load_digits()
  image = np.round(digits.images * 255 / 16).astype(np.uint8)[..., None]
  label = digits.target.astype(np.int64)
  # The order is part of the data set: another one is another set of digits.
  order = np.random.default_rng(0).permutation(len(label))
  num_test = round(test_fraction * len(label))
  test, train = order[:num_test], order[num_test:]
  return {
      'train': {'image': image[train], 'label': label[train]},
      'test': {'image': image[test], 'label': label[test]},
      'class_names': [str(digit) for digit in range(10)],
  }
