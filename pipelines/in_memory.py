"""A split in memory: decoded once, then gathered by index."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from . import autograph, errors
from . import spec as spec_lib

# Separates the random numbers of the order from other uses of the seed.
_ORDER_STREAM = 0x0DE5 << 40


def epoch_numbers(
    shape: Sequence[int], seed: int | tf.Tensor, epoch: int | tf.Tensor
) -> tf.Tensor:
  """Returns the random integers that determine an epoch's order.

  Args:
    shape: The shape to return.
    seed: The seed of the run, an integer or int64 scalar.
    epoch: The number of the epoch from 0, an integer or int64 scalar.

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

  This is the argsort of uniform 64-bit integers: a pure function of the
  arguments, identical in eager mode, in graphs and under XLA. (Only the order
  of equal integers may differ; for a million examples, their probability is
  below 1e-7.)

  Args:
    num_examples: The number of examples.
    seed: The seed of the run, an integer or int64 scalar.
    epoch: The number of the epoch from 0, an integer or int64 scalar.

  Returns:
    int32 ``[num_examples]``, each of [0, num_examples) once.

  Example:
    >>> from pipelines import in_memory
    >>> sorted(in_memory.epoch_order(4, seed=1, epoch=0).numpy().tolist())
    [0, 1, 2, 3]
  """
  keys = epoch_numbers([num_examples], seed, epoch)
  if tf.executing_eagerly():  # NumPy sorts several times faster.
    return tf.constant(np.argsort(keys.numpy()).astype(np.int32))
  return tf.argsort(keys)


def eval_keys(
    start: int, stop: int, global_batch_size: int, num_steps: int
) -> tf.Tensor:
  """Returns global batches that hold each example of a range once.

  Args:
    start: The index of the first example.
    stop: The index after the last example.
    global_batch_size: The number of examples per row.
    num_steps: The number of rows, enough for all examples.

  Returns:
    int32 ``[num_steps, global_batch_size]``, in order; -1 is padding.

  Example:
    >>> from pipelines import in_memory
    >>> in_memory.eval_keys(5, 8, global_batch_size=2, num_steps=2).numpy()
    array([[ 5,  6],
           [ 7, -1]], dtype=int32)
  """
  padding = num_steps * global_batch_size - (stop - start)
  order = tf.pad(tf.range(start, stop), [[0, padding]], constant_values=-1)
  return tf.reshape(order, [num_steps, global_batch_size])


class InMemorySplit:
  """The examples of a split as arrays.

  Attributes:
    arrays: An array ``[num_examples, ...]`` per feature, which may be a
      read-only memory map.
    spec: The features.
    is_resident: True, since all examples are in `arrays`.
  """

  is_resident = True

  def __init__(self, arrays: Mapping[str, np.ndarray], spec: spec_lib.Spec):
    """Stores arrays after checking that they match the features.

    Raises:
      DataError: If names, shapes or dtypes of arrays and features differ, or
        arrays have different numbers of examples.
    """
    self.spec = spec
    self.arrays = {name: arrays[name] for name in spec if name in arrays}
    if self.arrays.keys() != arrays.keys() or len(arrays) != len(spec):
      raise errors.DataError(
          f'dataset: expected the features {", ".join(spec)}, got '
          f'{", ".join(arrays)}.'
      )
    lengths = {name: len(array) for name, array in self.arrays.items()}
    if len(set(lengths.values())) != 1:
      raise errors.DataError(
          f'dataset: expected equally many examples per feature, got {lengths}.'
      )
    for name, array in self.arrays.items():
      feature = spec[name]
      if array.shape[1:] != feature.shape or array.dtype != feature.dtype:
        raise errors.DataError(
            f'dataset: {name}: expected {feature.dtype} [num_examples, '
            f'{", ".join(map(str, feature.shape))}], got {array.dtype} '
            f'{list(array.shape)}.'
        )

  @property
  def num_examples(self) -> int:
    """The number of examples."""
    return len(next(iter(self.arrays.values())))

  @functools.cached_property
  def tensors(self) -> dict[str, tf.Tensor]:
    """The arrays as tensors in host memory, created once."""
    with tf.init_scope(), tf.device('CPU:0'):
      return {name: tf.constant(a) for name, a in self.arrays.items()}

  def keys(self) -> tf.data.Dataset:
    """Returns the keys of all examples, in the order of the split."""
    return tf.data.Dataset.range(self.num_examples)

  def epochs(
      self, seed: int, first_epoch: int, global_batch_size: int
  ) -> tf.data.Dataset:
    """Returns the keys of all epochs from one on, see `splits.Split`.

    They form an endless dataset of int64 ``[global_batch_size]``. Keys that do
    not fill a row, different ones in each epoch, are dropped.
    """

    @autograph.off
    def keys_of(epoch: int) -> Any:
      keys = self.train_keys(seed, epoch, global_batch_size)
      return tf.cast(keys, tf.int64)

    return (
        tf.data.Dataset.range(first_epoch, tf.int64.max)
        .map(keys_of, num_parallel_calls=1)
        .prefetch(1)
        .unbatch()
    )

  def train_keys(
      self, seed: int, epoch: int | tf.Tensor, global_batch_size: int
  ) -> tf.Tensor:
    """Returns the keys of one epoch that `epochs` would return.

    They are int32 ``[num_steps, global_batch_size]``.
    """
    num_steps = self.num_examples // global_batch_size
    order = epoch_order(self.num_examples, seed, epoch)
    order = order[: num_steps * global_batch_size]
    return tf.reshape(order, [num_steps, global_batch_size])

  def load(self, keys: tf.Tensor) -> dict[str, tf.Tensor]:
    """Gathers the examples for keys, int64 ``[batch_size]``.

    The result is that of `splits.Split.load`.
    """
    gathered = {
        name: tf.gather(tensor, keys) for name, tensor in self.tensors.items()
    }
    return {**gathered, 'index': tf.cast(keys, tf.int32)}
