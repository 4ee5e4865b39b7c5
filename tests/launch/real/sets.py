"""Real data as files that `--dataset` takes, each written once a process."""

from __future__ import annotations

import csv
import functools
import gzip
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from sklearn import datasets

from pipelines.sources import hashing
from tests import small_datasets
from tests.launch import runs

BACKGROUND = 'nothing'
_QUARTERS = 4
# A pixel of cloth is brighter; the ground of Fashion-MNIST is 0.
_DARKEST_CLOTH = 32
_CLOTHES = (
    't-shirt',
    'trouser',
    'pullover',
    'dress',
    'coat',
    'sandal',
    'shirt',
    'sneaker',
    'bag',
    'ankle boot',
)


class Images(NamedTuple):
  """Images uint8 ``[n, H, W]`` and the class of each, ``[n]``."""

  image: np.ndarray
  label: np.ndarray


@functools.cache
def folder() -> pathlib.Path:
  """Returns a folder of this process."""
  return pathlib.Path(runs.kept_directory())


def digits() -> dict[str, Images]:
  """Returns scikit-learn's digits by split, in the order of a folder of them.

  That is by class and name. The split is by the hash of the path, as that of a
  folder without splits of its own.
  """
  digits = datasets.load_digits()
  pixels = (digits.images * 15).astype(np.uint8)  # They are 0 to 16.
  rows: dict[str, list[int]] = {split: [] for split in hashing.SPLITS}
  for index in np.argsort(digits.target, kind='stable'):
    path = _path(digits.target[index], index)
    rows[hashing.split_of(path.encode())].append(index)
  return {
      split: Images(pixels[chosen], digits.target[chosen])
      for split, chosen in rows.items()
  }


def _path(label: int, index: int) -> str:
  return f'{label}/{index:04}.png'


@functools.cache
def write_digits_folder() -> None:
  """Writes the digits as PNGs in folders of splits and classes: `digits`."""
  for split, (images, labels) in digits().items():
    for index, (image, label) in enumerate(zip(images, labels)):
      file = folder() / 'digits' / split / _path(label, index)
      file.parent.mkdir(parents=True, exist_ok=True)
      file.write_bytes(tf.io.encode_png(image[..., np.newaxis]).numpy())


@functools.cache
def write_digits_npz() -> None:
  """Writes the digits as arrays: `digits.npz`."""
  np.savez(
      folder() / 'digits.npz',
      **{
          f'{split}_{name}': array
          for split, images in digits().items()
          for name, array in images._asdict().items()
      },
  )


@functools.cache
def write_digits_tfds() -> None:
  """Writes the digits as a set of TFDS: `data/sklearn_digits`.

  Its examples stay in the order in which they are given.
  """
  tfds.disable_progress_bar()
  tfds.dataset_builders.store_as_tfds_dataset(
      name='sklearn_digits',
      version='1.0.0',
      features=tfds.features.FeaturesDict({
          'image': tfds.features.Image(shape=(8, 8, 1)),
          'label': tfds.features.ClassLabel(num_classes=10),
      }),
      split_datasets={
          split: [
              (index, {'image': image[..., np.newaxis], 'label': label})
              for index, (image, label) in enumerate(zip(*images))
          ]
          for split, images in digits().items()
      },
      data_dir=folder() / 'data',
      disable_shuffling=True,
  )


def write_csv(
    name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
  """Writes rows as a CSV file of this name."""
  with open(folder() / name, 'w', newline='', encoding='utf-8') as file:
    csv.writer(file).writerows([columns, *rows])


@functools.cache
def write_table(name: str) -> None:
  """Writes a table of scikit-learn: `NAME.csv`.

  Its columns are the features and `target`, classes by name.

  Args:
    name: `wine`, `breast_cancer` or `diabetes`.
  """
  bunch = getattr(datasets, f'load_{name}')()
  target = bunch.target
  if 'target_names' in bunch:
    target = bunch.target_names[target]
  write_csv(
      f'{name}.csv',
      [*bunch.feature_names, 'target'],
      (
          [*numbers.tolist(), label]
          for numbers, label in zip(bunch.data, target)
      ),
  )


@functools.cache
def collages(
    num_train: int, num_test: int, size: int = 28, seed: int = 0
) -> str:
  """Writes 2 x 2 collages of Fashion-MNIST for two tasks.

  Args:
    num_train: The number of collages of training images, of which a tenth is
      for validation.
    num_test: The number of collages of test images.
    size: The size of a quarter: 28, or 14 for every other pixel.
    seed: Decides which images are together.

  Returns:
    The name of a folder with `classes.npz`, whose `label` ``[n, 10]`` says
    which classes there are, and `masks.npz`, whose `label` ``[n, H, W]`` is the
    class of each pixel, 0 where there is nothing.
  """
  step = 28 // size
  generator = np.random.default_rng(seed)
  path = folder() / f'collages_{num_train}_{size}'
  path.mkdir()
  classes: dict[str, Any] = {'class_names': _CLOTHES}
  masks: dict[str, Any] = {'class_names': (BACKGROUND, *_CLOTHES)}
  held_out = num_train // 10
  for split, own, num_collages in (
      ('train', 'train', num_train - held_out),
      ('validation', 'train', held_out),
      ('test', 't10k', num_test),
  ):
    images, labels = fashion_mnist(own)
    chosen = generator.choice(len(images), [num_collages, 2, 2], replace=False)
    quarters = images[chosen][..., ::step, ::step]  # [N, 2, 2, H, W]
    whole = quarters.swapaxes(2, 3).reshape([-1, 2 * size, 2 * size])
    kinds = labels[chosen].astype(np.int64)
    everywhere = kinds.repeat(size, axis=1).repeat(size, axis=2)
    classes[f'{split}_image'] = masks[f'{split}_image'] = whole
    classes[f'{split}_label'] = (
        (kinds.reshape([-1, _QUARTERS, 1]) == np.arange(10)).any(1).astype(int)
    )
    masks[f'{split}_label'] = np.where(
        whole > _DARKEST_CLOTH, everywhere + 1, 0
    )
  np.savez(path / 'classes.npz', **classes)
  np.savez(path / 'masks.npz', **masks)
  return path.name


@functools.cache
def fashion_mnist(own: str) -> Images:
  """Reads the archives of Fashion-MNIST.

  Args:
    own: `train` or `t10k`.

  Returns:
    The images ``[n, 28, 28]`` and their classes.
  """

  def read(kind: str, header: int) -> np.ndarray:
    path = os.path.join(
        str(small_datasets.FASHION_MNIST_DIR), f'{own}-{kind}-ubyte.gz'
    )
    with gzip.open(path) as file:
      return np.frombuffer(file.read(), np.uint8, offset=header)

  return Images(
      read('images-idx3', 16).reshape([-1, 28, 28]), read('labels-idx1', 8)
  )
