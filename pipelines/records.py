"""Reads the examples of a prepared TFDS set in one fixed order."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds


def encoded(
    builder: tfds.core.DatasetBuilder, split: str
) -> tf.data.Dataset:
  """Reads images still encoded, shard after shard, in the order written.

  One shard is read at a time: with TFDS's interleaving the order would
  depend on the number of shards.

  Args:
    builder: The builder of a prepared set.
    split: A split of TFDS, slices included, such as 'train[5000:]'.

  Returns:
    A dataset of dicts: `image` as stored (usually bytes), `label` [].
  """
  options = tf.data.Options()
  options.deterministic = True
  decoders: Any = {'image': tfds.decode.SkipDecoding()}
  if len(builder.info.features) > 2:  # Leave the others unread.
    wanted = {'image': True, 'label': True}
    decoders = tfds.decode.PartialDecoding(wanted, decoders)
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


def decode(
    builder: tfds.core.DatasetBuilder,
    image: Any,
    image_size: tuple[int, int] | None,
) -> tf.Tensor:
  """Decodes one image.

  Args:
    builder: The builder of the set.
    image: The image as `encoded` gives it.
    image_size: The height and width to resize to, antialiased bilinear;
      None keeps the image's own.

  Returns:
    The image, uint8 ``[H, W, C]``.
  """
  feature = builder.info.features['image']
  image = feature.decode_example(image)
  if image_size is None:
    return tf.ensure_shape(image, feature.shape)
  resized = tf.image.resize(image, image_size, antialias=True)
  channels = feature.shape[-1]
  rounded = tf.saturate_cast(tf.round(resized), tf.uint8)
  return tf.ensure_shape(rounded, [*image_size, channels])


def largest_label(builder: tfds.core.DatasetBuilder, split: str) -> int:
  """Returns the largest label of a split, without decoding an image.

  Args:
    builder: The builder of a prepared set with integer labels.
    split: A split of TFDS.

  Returns:
    The largest label, -1 for a split without examples.
  """
  labels = encoded(builder, split).map(lambda example: example['label'])
  return int(
      labels.batch(4096).reduce(
          tf.constant(-1, tf.int64),
          lambda largest, batch: tf.maximum(
              largest, tf.reduce_max(tf.cast(batch, tf.int64))
          ),
      )
  )
