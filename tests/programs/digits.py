"""scikit-learn's digits, views of them, and what vectors tell of the class."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from sklearn import datasets, linear_model

from core import random

NUM_EXAMPLES = 1797


def load() -> np.ndarray:
  """Returns the digits, ``[1797, 64]`` in [0, 1]."""
  return datasets.load_digits().data.astype('float32') / 16


def view(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
  """Hides a third of the pixels, and adds noise to the others.

  Args:
    image: ``[batch_size, 64]``.
    seed: Integers ``[2]``.

  Returns:
    The view, ``[batch_size, 64]``.
  """
  seeds, shape = random.split(seed, 2), tf.unstack(tf.shape(image))
  is_seen = random.uniform(seeds[0], shape) > 0.33
  noisy = image + 0.2 * random.normal(seeds[1], shape)
  return tf.where(is_seen, noisy, 0.0)


def score(vectors: tf.Tensor) -> float:
  """Scores a linear classifier of vectors, which is shown 200 labels.

  Args:
    vectors: One for each digit, ``[1797, size]``.

  Returns:
    The accuracy on the others.
  """
  x, y = np.array(vectors), datasets.load_digits().target
  model = linear_model.LogisticRegression(max_iter=1000).fit(x[:200], y[:200])
  return model.score(x[200:], y[200:])
