"""Small, learnable image sets in TFDS's format, written in a moment."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from pipelines import archives, sources
from pipelines import in_memory as in_memory_lib
from pipelines import spec as spec_lib


def _fashion_mnist_dir() -> str | None:
  """Returns the folder with the real archives, if this machine has one."""
  for folder in (
      os.environ.get('QUATRAIN_ARCHIVES_DIR'),
      sources.DEBIAN_ARCHIVES_DIR,
  ):
    if folder and not archives.missing(folder, 'fashion_mnist'):
      return folder
  return None


FASHION_MNIST_DIR = _fashion_mnist_dir()
NO_ARCHIVES = (
    f'Fashion-MNIST archives are neither in {sources.DEBIAN_ARCHIVES_DIR} '
    '(install dataset-fashion-mnist) nor where QUATRAIN_ARCHIVES_DIR points.'
)


def arrays(
    num_examples: int,
    image_shape: tuple[int, int, int] = (8, 8, 3),
    num_classes: int = 4,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns noisy patterns, one a class, and their labels.

  Args:
    num_examples: How many; the classes take turns.
    image_shape: (H, W, C).
    num_classes: The number of classes.
    seed: Seeds the noise; the patterns are always the same.

  Returns:
    Images uint8 ``[num_examples, H, W, C]``, labels int64
    ``[num_examples]``.
  """
  patterns = np.random.default_rng(7).integers(
      0, 200, [num_classes, *image_shape]
  )
  labels = np.arange(num_examples) % num_classes
  noise = np.random.default_rng(seed).integers(
      0, 56, [num_examples, *image_shape]
  )
  return (patterns[labels] + noise).astype(np.uint8), labels


def in_memory(
    images: np.ndarray, labels: np.ndarray | None = None
) -> in_memory_lib.InMemorySplit:
  """Returns a split of images and their classes.

  Args:
    images: uint8 ``[num_examples, H, W, C]``.
    labels: int64 ``[num_examples]``; by default all 0.

  Returns:
    The split.
  """
  if labels is None:
    labels = np.zeros(len(images), np.int64)
  names = [str(index) for index in range(max(labels, default=0) + 1)]
  return in_memory_lib.InMemorySplit(
      {'image': images, 'label': labels},
      spec_lib.of_images(images.shape[1:], names),
  )


def write(
    data_dir: str | os.PathLike[str],
    name: str = 'tiny_shapes',
    num_train: int = 240,
    num_test: int = 60,
    num_validation: int = 0,
    image_shape: tuple[int, int, int] = (8, 8, 3),
    num_classes: int = 4,
    num_shards: int = 1,
    features: dict[str, Any] | None = None,
    sizes_vary: bool = False,
    labels_from: int = 0,
    version: str = '1.0.0',
) -> None:
  """Writes a prepared set that TFDS finds by name in `data_dir`.

  Args:
    data_dir: The folder of prepared sets.
    name: The set's name.
    num_train: The number of training examples.
    num_test: The number of test examples; 0 for no such split.
    num_validation: The number of validation examples; 0 for no such split.
    image_shape: (H, W, C).
    num_classes: The number of classes.
    num_shards: The number of files a split.
    features: Features instead of `image` and a ClassLabel `label`, such as
      {'label': np.int64}. 'image' may be among them, None for no images;
      all others hold the label.
    sizes_vary: Declares height and width unknown and crops every other image.
    labels_from: The label of the first class.
    version: The set's version, that of TFDS's own set for one of its names.
  """
  declared = (None, None, image_shape[-1]) if sizes_vary else image_shape
  if features is None:
    features = {'label': tfds.features.ClassLabel(num_classes=num_classes)}
  features = {'image': tfds.features.Image(shape=declared), **features}
  features = {
      key: feature for key, feature in features.items() if feature is not None
  }
  image_dtype = getattr(features.get('image'), 'np_dtype', np.uint8)

  def rows(num_examples: int, seed: int) -> list[tuple[int, dict]]:
    images, labels = arrays(num_examples, image_shape, num_classes, seed)
    images = images.astype(image_dtype)
    return [
        (
            index,
            {
                key: (
                    (image[1:] if sizes_vary and index % 2 else image)
                    if key == 'image'
                    else label + labels_from
                )
                for key in features
            },
        )
        for index, (image, label) in enumerate(zip(images, labels))
    ]

  sizes = {'train': num_train, 'validation': num_validation, 'test': num_test}
  tfds.disable_progress_bar()
  tfds.dataset_builders.store_as_tfds_dataset(
      name=name,
      version=version,
      features=tfds.features.FeaturesDict(features),
      split_datasets={
          split: rows(size, seed)
          for seed, (split, size) in enumerate(sizes.items())
          if size
      },
      data_dir=data_dir,
      download_config=tfds.download.DownloadConfig(num_shards=num_shards),
  )
