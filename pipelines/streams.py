"""A split beyond memory: read from its records in every epoch."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from . import examples, records


@dataclasses.dataclass(frozen=True, eq=False)
class Streamed:
  """The examples of a split, read in a fixed order and shuffled in a buffer.

  It serves the batch functions as `examples.Examples` does; a key is an
  example whose image is still encoded. So skipping to a step and passing
  over another worker's part cost the reading of records, not decoding.

  Attributes:
    builder: The builder of the prepared set.
    split: A split of TFDS, slices included, such as 'train[5000:]'.
    num_examples: The number of examples in the split.
    image_shape: (H, W, C) of the decoded, resized images.
    image_size: The (H, W) to resize to, or None.
    shuffle_buffer: The number of encoded examples to draw from at random. A
      buffer smaller than the split shuffles locally, and what an epoch drops
      for not filling a batch is then mostly from the split's end.
  """

  builder: tfds.core.DatasetBuilder
  split: str
  num_examples: int
  image_shape: tuple[int, int, int]
  image_size: tuple[int, int] | None = None
  shuffle_buffer: int = 10_000

  def keys(self) -> tf.data.Dataset:
    """Returns the key of each example, in the order of the split."""
    return records.encoded(self.builder, self.split)

  def epochs(
      self, seed: int, first_epoch: int, global_batch_size: int
  ) -> tf.data.Dataset:
    """Returns the keys of the global batches of all epochs from one on.

    Args:
      seed: The run's seed.
      first_epoch: The epoch to begin with, from 0.
      global_batch_size: The number of keys in a row.

    Returns:
      An endless dataset of nests of ``[global_batch_size]``. What does not
      fill a row is dropped.
    """
    keys = self.keys()
    buffer = min(self.shuffle_buffer, self.num_examples)

    def rows(epoch):
      # Dataset.shuffle mixes in the global seed; a fixed one for this graph
      # leaves the order a function of (seed, epoch) alone.
      tf.random.set_seed(1)
      shuffled = keys.shuffle(
          buffer,
          seed=examples.epoch_numbers([], seed, epoch),
          reshuffle_each_iteration=False,
      )
      return shuffled.batch(global_batch_size, drop_remainder=True)

    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(rows)

  def load(self, keys: dict[str, Any]) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes images.

    Args:
      keys: Encoded `image` ``[batch_size]``, `label` ``[batch_size]``.

    Returns:
      Images uint8 ``[batch_size, H, W, C]``, labels int64 ``[batch_size]``.
    """
    images = tf.map_fn(
        lambda image: records.decode(self.builder, image, self.image_size),
        keys['image'],
        fn_output_signature=tf.TensorSpec(self.image_shape, tf.uint8),
    )
    return images, tf.cast(keys['label'], tf.int64)
