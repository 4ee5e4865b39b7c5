"""A split in memory: decoded once, gathered by index ever after."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# Keeps the order's random numbers apart from other uses of the run's seed.
_ORDER_STREAM = 0x0DE5 << 40


def epoch_numbers(
    shape: Sequence[int], seed: int | tf.Tensor, epoch: int | tf.Tensor
) -> tf.Tensor:
  """Returns the random integers that an epoch's order is made from.

  Args:
    shape: The shape to return.
    seed: The run's seed, an integer or int64 scalar.
    epoch: The epoch's number from 0, an integer or int64 scalar.

  Returns:
    Uniform int64 of the shape, a pure function of the arguments.
  """
  epoch = tf.cast(epoch, tf.int64)
  return tf.random.stateless_uniform(
      shape,
      tf.stack([tf.cast(seed, tf.int64), _ORDER_STREAM + epoch]),
      minval=None,
      maxval=None,
      dtype=tf.int64,
      alg='philox',  # The default differs between devices.
  )


def epoch_order(
    num_examples: int, seed: int | tf.Tensor, epoch: int | tf.Tensor
) -> tf.Tensor:
  """Returns a permutation of the examples: the order of one epoch.

  The argsort of uniform integers; equal ones keep their order, so the result
  is a pure function of the arguments, eager, in a graph and under XLA alike.

  Args:
    num_examples: The number of examples.
    seed: The run's seed, an integer or int64 scalar.
    epoch: The epoch's number from 0, an integer or int64 scalar.

  Returns:
    int32 ``[num_examples]``, each of [0, num_examples) once.

  Example:
    >>> from pipelines import examples
    >>> sorted(examples.epoch_order(4, seed=1, epoch=0).numpy().tolist())
    [0, 1, 2, 3]
  """
  keys = epoch_numbers([num_examples], seed, epoch)
  return tf.argsort(keys, stable=True)


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """The examples of a split as arrays.

  Attributes:
    images: uint8 ``[num_examples, H, W, C]``; may be a read-only memory map.
    labels: int64 ``[num_examples]``, integers in [0, num_classes).
  """

  images: np.ndarray
  labels: np.ndarray

  @property
  def num_examples(self) -> int:
    """The number of examples."""
    return len(self.labels)

  @property
  def image_shape(self) -> tuple[int, ...]:
    """(H, W, C) of every image."""
    return self.images.shape[1:]

  @functools.cached_property
  def tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
    """Images and labels as tensors in host memory, made once."""
    with tf.init_scope(), tf.device('CPU:0'):
      return tf.constant(self.images), tf.constant(self.labels)

  def keys(self) -> tf.data.Dataset:
    """Returns the key of each example, in the order of the split."""
    return tf.data.Dataset.range(self.num_examples)

  def epochs(
      self, seed: int, first_epoch: int, global_batch_size: int
  ) -> tf.data.Dataset:
    """Returns the keys of the global batches of all epochs from one on.

    Args:
      seed: The run's seed.
      first_epoch: The epoch to begin with, from 0.
      global_batch_size: The number of keys in a row.

    Returns:
      An endless dataset of int64 ``[global_batch_size]``. What does not fill
      a row is dropped: other examples in each epoch.
    """
    num_steps = self.num_examples // global_batch_size

    def rows(epoch):
      order = epoch_order(self.num_examples, seed, epoch)
      order = tf.cast(order[: num_steps * global_batch_size], tf.int64)
      return tf.reshape(order, [num_steps, global_batch_size])

    return (
        tf.data.Dataset.range(first_epoch, tf.int64.max)
        .map(rows, num_parallel_calls=1)
        .prefetch(1)
        .unbatch()
    )

  def load(self, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gathers images and labels.

    Args:
      keys: int64 ``[batch_size]``, integers in [0, num_examples).

    Returns:
      Images uint8 ``[batch_size, H, W, C]``, labels int64 ``[batch_size]``.
    """
    images, labels = self.tensors
    return tf.gather(images, keys), tf.gather(labels, keys)
