"""Stateless random numbers that do not depend on the number of replicas.

A stateless generator returns the same numbers on every replica, so two replicas
would drop the same units for different examples. Here each replica draws its
own rows of the global batch: with the same seed, N replicas together draw
exactly the numbers that one replica would draw alone.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from . import checks

_PHILOX = tf.random.Algorithm.PHILOX.value
_BLOCK = 4  # Philox generates four 32-bit numbers per counter.


class Place(NamedTuple):
  """The rows of a micro-batch in this replica's part of a global batch.

  Attributes:
    first: The index of the first row, an integer ``[]``.
    size: The number of rows.
    batch_size: The number of rows in the part.
  """

  first: tf.Tensor
  size: int
  batch_size: int | tf.Tensor


_PLACE: contextvars.ContextVar[Place | None] = contextvars.ContextVar(
    'place', default=None
)


_START: contextvars.ContextVar[tuple[tf.Tensor, int | tf.Tensor] | None] = (
    contextvars.ContextVar('start', default=None)
)


@contextlib.contextmanager
def starting(start: tuple[tf.Tensor, int | tf.Tensor] | None) -> Iterator[None]:
  """Makes `uniform` support replicas with different numbers of examples.

  Args:
    start: The numbers of examples on the replicas before this one and on this
      one. If None, all replicas have equally many.

  Yields:
    Nothing.
  """
  token = _START.set(start)
  try:
    yield
  finally:
    _START.reset(token)


@contextlib.contextmanager
def at(place: Place | None) -> Iterator[None]:
  """Makes `uniform` draw a micro-batch's rows of the whole batch.

  Args:
    place: The place of the micro-batch, or None for a whole batch.

  Yields:
    Nothing.
  """
  token = _PLACE.set(place)
  try:
    yield
  finally:
    _PLACE.reset(token)


def fold_in(seed: tf.Tensor, data: tf.Tensor | int) -> tf.Tensor:
  """Derives a seed from a seed and a number, such as a step or layer index.

  Args:
    seed: Integers ``[2]``.
    data: An integer ``[]``.

  Returns:
    A new seed, int32 ``[2]``.

  Raises:
    TypeError: If the seed or the number is not an integer.
    ValueError: If the shape of either is wrong.
  """
  # TensorFlow's result depends on the dtypes of both.
  data = _int32('data', data, [])
  return tf.random.fold_in(_int32('seed', seed, [2]), data, alg='philox')


def split(seed: tf.Tensor, num: int) -> list[tf.Tensor]:
  """Derives independent seeds, one per consumer.

  Args:
    seed: Integers ``[2]``.
    num: The number of seeds, at least 1.

  Returns:
    A list of ``num`` seeds, int32 ``[2]``.

  Raises:
    TypeError, ValueError: If the seed or the number is wrong.
  """
  checks.size('num', num)
  seeds = tf.random.split(_int32('seed', seed, [2]), num, alg='philox')
  return tf.unstack(seeds, num)


def uniform(
    seed: tf.Tensor, shape: Sequence[int | tf.Tensor] | tf.Tensor
) -> tf.Tensor:
  """Draws this replica's rows of uniform numbers for the global batch.

  The numbers are those of Philox 4x32-10 with the seed as its key, identical in
  eager mode, in graphs and under XLA. Each example begins at its own block, so
  replica ``r`` with ``B`` examples starts at counter ``r * B * blocks``.

  Args:
    seed: Integers ``[2]``.
    shape: The shape ``[batch_size, ...]`` on this replica, such as
      `tf.shape(x)`; sizes may be tensors. Except for the batch sizes in a train
      step, it must be equal on all replicas.

  Returns:
    float32 numbers in [0, 1) of the given shape.

  Raises:
    TypeError: If the seed is not an integer.
    ValueError: If the shape is a tensor of unknown length, or that of the seed
      is wrong.

  Reference:
    Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
  """
  batch_size, *rest = shape = _sizes(shape)
  size = math.prod(rest)
  blocks = -(-size // _BLOCK)
  offset = _first_row(batch_size) * tf.cast(blocks, tf.uint64)
  seed = _int32('seed', seed, [2])
  seed = tf.cast(tf.bitcast(seed, tf.uint32), tf.uint64)
  # Draws integers, since XLA's uniform floats take forty times as long on a
  # CPU, and converts them as TensorFlow's kernel does.
  bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
      shape=[batch_size, blocks * _BLOCK],
      key=tf.reshape(seed[0] + seed[1] * 2**32, [1]),
      counter=tf.stack([offset, tf.constant(0, tf.uint64)]),
      alg=_PHILOX,
      dtype=tf.int32,
  )
  mantissa = tf.bitwise.bitwise_and(bits, 2**23 - 1)
  numbers = tf.cast(mantissa, tf.float32) * 2.0**-23
  return tf.reshape(numbers[:, :size], shape)


def _int32(argument: str, value: Any, shape: list[int]) -> tf.Tensor:
  value = tf.convert_to_tensor(value)
  checks.integers(argument, value)
  return tf.cast(checks.shape(argument, value, shape), tf.int32)


def _sizes(shape: Any) -> Sequence[int | tf.Tensor]:
  if not tf.is_tensor(shape):
    return shape
  if shape.shape.rank != 1 or shape.shape[0] is None:
    raise ValueError(
        'shape: expected a sequence of sizes or a vector of known length, got '
        f'a tensor of shape {shape.shape}.'
    )
  return tf.unstack(shape)


def _first_row(batch_size: int | tf.Tensor) -> tf.Tensor:
  context = tf.distribute.get_replica_context()
  replica = tf.cast(
      context.replica_id_in_sync_group if context else 0, tf.uint64
  )
  batch_size = tf.cast(batch_size, tf.uint64)
  place, start = _PLACE.get(), _START.get()
  if place is not None:
    first, size, local_size = place
    before = start[0] if start else replica * tf.cast(local_size, tf.uint64)
    first = tf.cast(before, tf.uint64) + tf.cast(first, tf.uint64)
  elif start is not None:
    first, size = start[0], tf.maximum(start[1], 1)  # Avoids division by 0.
  else:
    return replica * batch_size
  # Inputs with several rows per example, such as views, have them here too.
  return tf.cast(first, tf.uint64) * batch_size // tf.cast(size, tf.uint64)


def normal(
    seed: tf.Tensor, shape: Sequence[int | tf.Tensor] | tf.Tensor
) -> tf.Tensor:
  """Draws this replica's rows of normal numbers for the global batch.

  Applies the inverse normal distribution function to one uniform number each,
  so that every example keeps its own numbers. (TensorFlow's kernels transform
  uniform numbers in pairs, which differ under XLA.)

  Args:
    seed: Integers ``[2]``.
    shape: As for `uniform`.

  Returns:
    float32 numbers of mean 0 and variance 1, within 5.3 of 0.

  Example:
    >>> import tensorflow as tf
    >>> from core import random
    >>> numbers = random.normal([0, 1], [1000, 10])
    >>> abs(float(tf.reduce_mean(numbers))) < 0.02
    True
  """
  # The uniform numbers are multiples of 2^-23. Shifted to the centers of their
  # intervals, none is 0.
  return tf.math.ndtri(uniform(seed, shape) + 2.0**-24)


def layer_seed(seed: tf.Tensor | None, index: int) -> tf.Tensor | None:
  """Derives the seed of a random layer in a model.

  Args:
    seed: Integers ``[2]``, or None, as in evaluation.
    index: The index of the layer.

  Returns:
    A seed, int32 ``[2]``, or None.
  """
  return None if seed is None else fold_in(seed, index)
