"""Reads the examples of a prepared TFDS data set in a fixed order."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from . import errors, images


def encoded(builder: tfds.core.DatasetBuilder, split: str) -> tf.data.Dataset:
  """Reads images without decoding, shard after shard, in the order written.

  One shard is read at a time, because with TFDS's interleaving the order would
  depend on the number of shards.

  Args:
    builder: The builder of a prepared data set.
    split: A TFDS split or a slice of one, such as 'train[5000:]'.

  Returns:
    A dataset of dicts: `image` as stored (usually bytes), `label` [].

  Raises:
    DataError: If TFDS cannot read the files.
  """
  decoders: Any = {'image': tfds.decode.SkipDecoding()}
  if len(builder.info.features) > 2:  # Leave the others unread.
    wanted = {'image': True, 'label': True}
    decoders = tfds.decode.PartialDecoding(wanted, decoders)
  return _read(builder, split, decoders)


def decoded(
    builder: tfds.core.DatasetBuilder, split: str, wanted: Iterable[str]
) -> tf.data.Dataset:
  """Reads some features, decoded by TFDS, in the order written.

  Args:
    builder: The builder of a prepared data set.
    split: As for `encoded`.
    wanted: The features, with nested ones as 'a/b'.

  Returns:
    A dataset of nested dicts.

  Raises:
    DataError: If TFDS cannot read the files.
  """
  nest: dict[str, Any] = {}
  for path in wanted:
    *folders, leaf = path.split('/')
    functools.reduce(lambda n, key: n.setdefault(key, {}), folders, nest)[
        leaf
    ] = True
  return _read(builder, split, tfds.decode.PartialDecoding(nest))


def _read(
    builder: tfds.core.DatasetBuilder, split: str, decoders: Any
) -> tf.data.Dataset:
  options = tf.data.Options()
  options.deterministic = True
  try:
    return builder.as_dataset(
        split=split,
        decoders=decoders,
        read_config=tfds.ReadConfig(
            options=options,
            try_autocache=False,
            interleave_cycle_length=1,
            interleave_block_length=1,
        ),
        shuffle_files=False,
    )
  except Exception as error:
    raise errors.DataError(
        f'dataset: {builder.name}, split {split}: TFDS cannot read '
        f'{builder.data_dir}: {errors.one_line(error)}.'
    ) from error


def decode(
    builder: tfds.core.DatasetBuilder,
    image: Any,
    image_size: tuple[int, int] | None,
) -> tf.Tensor:
  """Decodes one image.

  Args:
    builder: The builder of the data set.
    image: The image as returned by `encoded`.
    image_size: The (height, width) to resize to, antialiased bilinear. Default:
      the image keeps its size.

  Returns:
    The image, uint8 ``[H, W, C]``. Running the op fails if the image is broken
    or does not have the declared size.
  """
  feature = builder.info.features['image']
  image = tf.ensure_shape(feature.decode_example(image), feature.shape)
  return image if image_size is None else images.resize(image, image_size)
