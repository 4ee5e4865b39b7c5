"""Writes what contenders train on: arrays of bytes and labels.

    python -m tests.benchmarks.data --folder=.benchmarks/data
    python -m tests.benchmarks.data --folder=.benchmarks/tiny --synthetic

A process of its own, so that the driver holds no memory while others are
measured. The archives of Fashion-MNIST are looked for where
QUATRAIN_ARCHIVES_DIR points and where test.sh unpacks them; if the set is
missing, one line says so, and the exit code is 2.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys

import numpy as np

from tests.benchmarks import cases, protocol

# Where run.sh and test.sh unpack Debian's package.
_UNPACKED = (
    pathlib.Path(__file__).parents[2]
    / '.data/dataset-fashion-mnist/usr/share/datasets/fashion-mnist'
)
_SYNTHETIC = {
    'train': 2048,
    'validation': protocol.EVAL_BATCH_SIZE,
    'test': protocol.EVAL_BATCH_SIZE,
}


def synthetic(num_examples: int, seed: int) -> protocol.Split:
  """Draws images that even a few steps learn: a bright row for each class.

  Args:
    num_examples: The number of examples.
    seed: The seed.

  Returns:
    The examples.
  """
  generator = np.random.default_rng(seed)
  labels = generator.integers(0, cases.NUM_CLASSES, num_examples, np.int32)
  shape = (num_examples, *cases.IMAGE_SHAPE)
  images = generator.integers(0, 128, shape, np.uint8)
  images[np.arange(num_examples), 2 * labels + 4] += 127
  return protocol.Split(images, labels)


def fashion_mnist(data_dir: str | None) -> dict[str, protocol.Split]:
  """Reads Fashion-MNIST: 55,000, 5,000 and 10,000 examples.

  Args:
    data_dir: The folder of sets that TFDS prepared; None means its default.

  Returns:
    The splits by name.

  Raises:
    ValueError: If the set is missing or cannot be read.
  """
  from pipelines import sources  # TensorFlow, which synthetic data spare.

  archives = os.environ.get('QUATRAIN_ARCHIVES_DIR')
  if not archives and _UNPACKED.exists():
    archives = str(_UNPACKED)
  dataset = sources.open_dataset(
      'fashion_mnist', data_dir=data_dir, archives_dir=archives
  )
  splits = {}
  for name in dataset.num_examples:
    arrays = dataset.split(name).arrays
    splits[name] = protocol.Split(arrays['image'], arrays['label'])
  return splits


def write(folder: pathlib.Path, splits: dict[str, protocol.Split]) -> None:
  """Writes `SPLIT_images.npy`, uint8, and `SPLIT_labels.npy`, int32.

  Args:
    folder: Where to; it is made.
    splits: The splits by name.
  """
  folder.mkdir(parents=True, exist_ok=True)
  for name, split in splits.items():
    np.save(folder / f'{name}_images.npy', split.images)
    np.save(folder / f'{name}_labels.npy', split.labels.astype(np.int32))


def main() -> None:
  """Writes the arrays, if they are not there yet."""
  parser = argparse.ArgumentParser()
  parser.add_argument('--folder', required=True, type=pathlib.Path)
  parser.add_argument('--synthetic', action='store_true')
  parser.add_argument('--data_dir', help='Where TFDS keeps prepared sets.')
  options = parser.parse_args()
  if (options.folder / 'test_labels.npy').exists():  # The last one written.
    return
  if options.synthetic:
    sizes = enumerate(_SYNTHETIC.items())
    splits = {name: synthetic(size, seed) for seed, (name, size) in sizes}
  else:
    try:
      splits = fashion_mnist(options.data_dir)
    except ValueError as error:
      print(error, file=sys.stderr)
      sys.exit(2)
  write(options.folder, splits)


if __name__ == '__main__':
  main()
