"""Writes what contenders train on: arrays of bytes and labels.

    python -m tests.benchmarks.data --folder=.benchmarks/data
    python -m tests.benchmarks.data --folder=.benchmarks/tiny --synthetic

A process of its own, so that the driver holds no memory while others are
measured.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np

from tests.benchmarks import cases, protocol

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
  """
  from pipelines import sources  # TensorFlow, which synthetic data spare.

  dataset = sources.open_dataset('fashion_mnist', data_dir=data_dir)
  splits = {}
  for name in dataset.num_examples:
    examples = dataset.examples(name)
    splits[name] = protocol.Split(examples.images, examples.labels)
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
    splits = fashion_mnist(options.data_dir)
  write(options.folder, splits)


if __name__ == '__main__':
  main()
