"""Integers as floating-point numbers of the same bits, to gather them on GPUs.

TensorFlow gathers floating-point numbers, booleans and int64 on GPUs. Without
XLA, it would copy a whole tensor of any other dtype to the host at each step,
such as all images of bytes, or back from there: it keeps int32 on the host.

    floats = float_bits.to_floats(batch)
    batch = float_bits.from_floats(rows.take(floats, [2, 0]), like=batch)
"""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow as tf

from . import checks, compilation, distribution

_FLOATS = {2: tf.float16, 4: tf.float32, 8: tf.float64}


def are_needed() -> bool:
  """Returns whether what is traced now gathers on a GPU without XLA.

  Returns:
    Whether it does.
  """
  return distribution.on_gpu() and not compilation.is_tracing_for_xla()


def on_host() -> contextlib.AbstractContextManager[None]:
  """Places operations on this worker's CPU.

  Returns:
    A context.
  """
  return tf.device('CPU:0')


def to_floats(batch: Any) -> Any:
  """Views integers as floating-point numbers.

  Args:
    batch: A nest of tensors ``[batch_size, ...]``.

  Returns:
    The nest. Dense integers, except int64, are floats of the same bits: two
    bytes are a float16 of ``[batch_size, num_pairs]``, and wider integers keep
    their shape. Only an odd number of bytes is copied; all else is kept.
  """
  return tf.nest.map_structure(_to_floats, batch)


def from_floats(floats: Any, like: Any) -> Any:
  """Reverses `to_floats`.

  Args:
    floats: What `to_floats` returned, or rows of it.
    like: What it was given, or specs of that.

  Returns:
    A nest of tensors of the dtypes of `like`, with as many rows as `floats`.
  """
  return tf.nest.map_structure(_from_floats, floats, like)


def _is_viewed(leaf: Any) -> bool:
  if not isinstance(leaf, tf.Tensor | tf.TensorSpec):
    return False  # Sparse and ragged tensors have parts of other lengths.
  if not leaf.shape.rank or not leaf.dtype.is_integer:
    return False
  is_known = leaf.dtype.size > 1 or leaf.shape[1:].is_fully_defined()
  return leaf.dtype != tf.int64 and is_known


def _to_floats(leaf: Any) -> Any:
  if not _is_viewed(leaf):
    return leaf
  if leaf.dtype.size > 1:
    return tf.bitcast(leaf, _FLOATS[leaf.dtype.size])
  num_bytes = leaf.shape[1:].num_elements()
  num_rows = checks.sizes_of(leaf)[0]
  flat = tf.reshape(leaf, [num_rows, num_bytes])
  if num_bytes % 2:
    flat = tf.pad(flat, [[0, 0], [0, 1]])
  pairs = tf.reshape(flat, [num_rows, (num_bytes + 1) // 2, 2])
  return tf.bitcast(pairs, _FLOATS[2])


def _from_floats(leaf: Any, like: Any) -> Any:
  if not _is_viewed(like):
    return leaf
  if like.dtype.size > 1:
    return tf.bitcast(leaf, like.dtype)
  num_rows, num_pairs = checks.sizes_of(leaf)
  flat = tf.reshape(tf.bitcast(leaf, like.dtype), [num_rows, 2 * num_pairs])
  flat = flat[:, : like.shape[1:].num_elements()]
  return tf.reshape(flat, [num_rows, *like.shape[1:]])
