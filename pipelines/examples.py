"""A split in memory: decoded once, gathered by index ever after."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from . import autograph, errors
from . import spec as spec_lib

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

  The argsort of uniform integers of 64 bits: a pure function of the arguments,
  eager, in a graph and under XLA alike. (But for the order of equal ones, which
  a million examples have with a probability below 1e-7.)

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
  if tf.executing_eagerly():  # NumPy sorts several times as fast.
    return tf.constant(np.argsort(keys.numpy()).astype(np.int32))
  return tf.argsort(keys)


def eval_rows(
    start: int, stop: int, global_batch_size: int, num_steps: int
) -> tf.Tensor:
  """Returns the global batches that hold each example of a range once.

  Args:
    start: The first example.
    stop: The one after the last.
    global_batch_size: The number of examples in a row.
    num_steps: The number of rows; as many examples must have room in them.

  Returns:
    int32 ``[num_steps, global_batch_size]``, in order; -1 is padding.

  Example:
    >>> from pipelines import examples
    >>> examples.eval_rows(5, 8, global_batch_size=2, num_steps=2).numpy()
    array([[ 5,  6],
           [ 7, -1]], dtype=int32)
  """
  padding = num_steps * global_batch_size - (stop - start)
  order = tf.pad(tf.range(start, stop), [[0, padding]], constant_values=-1)
  return tf.reshape(order, [num_steps, global_batch_size])


class Examples:
  """The examples of a split as arrays.

  Attributes:
    arrays: An array ``[num_examples, ...]`` per feature; they may be read-only
      memory maps.
    spec: The features.
    is_resident: True: all of them are in `arrays`.
  """

  is_resident = True

  def __init__(
      self, arrays: Mapping[str, np.ndarray], spec: spec_lib.Spec
  ):
    """Takes arrays, and checks that they are of the features.

    Raises:
      DataError: If a feature has no array, an array no feature, or one is of
        another shape, dtype or number of examples.
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
          f'dataset: expected as many examples of each feature, got {lengths}.'
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
    """The arrays as tensors in host memory, made once."""
    with tf.init_scope(), tf.device('CPU:0'):
      return {name: tf.constant(a) for name, a in self.arrays.items()}

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
    @autograph.off
    def rows(epoch):
      order = self.train_rows(seed, epoch, global_batch_size)
      return tf.cast(order, tf.int64)

    return (
        tf.data.Dataset.range(first_epoch, tf.int64.max)
        .map(rows, num_parallel_calls=1)
        .prefetch(1)
        .unbatch()
    )

  def train_rows(
      self, seed: int, epoch: int | tf.Tensor, global_batch_size: int
  ) -> tf.Tensor:
    """Returns the keys of the global batches of an epoch.

    Args:
      seed: The run's seed.
      epoch: The epoch's number from 0.
      global_batch_size: The number of keys in a row.

    Returns:
      int32 ``[num_steps, global_batch_size]``, what `epochs` gives too. What
      does not fill a row is dropped: other examples in each epoch.
    """
    num_steps = self.num_examples // global_batch_size
    order = epoch_order(self.num_examples, seed, epoch)
    order = order[: num_steps * global_batch_size]
    return tf.reshape(order, [num_steps, global_batch_size])

  def load(self, keys: tf.Tensor) -> dict[str, tf.Tensor]:
    """Gathers examples.

    Args:
      keys: int64 ``[batch_size]``, integers in [0, num_examples).

    Returns:
      Each feature ``[batch_size, ...]``, and `index` int32 ``[batch_size]``,
      the positions in the split.
    """
    gathered = {
        name: tf.gather(tensor, keys) for name, tensor in self.tensors.items()
    }
    return {**gathered, 'index': tf.cast(keys, tf.int32)}
