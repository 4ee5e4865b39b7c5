"""Arithmetic that stays finite, value and gradient, where losses need it."""

from __future__ import annotations

import tensorflow as tf


def over_examples(values: tf.Tensor) -> tf.Tensor:
  """Averages ``[batch_size, ...]`` over all axes but the first."""
  return tf.reduce_mean(values, axis=range(1, values.shape.rank))


def power(base: tf.Tensor, exponent: float) -> tf.Tensor:
  """Raises numbers >= 0 to a power >= 0, with gradient 0 at base 0.

  A power below 1 has an infinite slope at 0, which would turn the gradient of
  everything before it into NaN.

  Args:
    base: A floating point tensor >= 0 of any shape.
    exponent: A number >= 0.

  Returns:
    A tensor of the base's shape.
  """
  tiny = base.dtype.as_numpy_dtype(1e-30)
  return tf.maximum(base, tiny) ** exponent


def norm(vectors: tf.Tensor) -> tf.Tensor:
  """Computes Euclidean norms over the last axis, with gradient 0 at 0."""
  return sqrt(tf.reduce_sum(vectors**2, axis=-1))


def sqrt(values: tf.Tensor) -> tf.Tensor:
  """Takes the square root of numbers >= 0, with gradient 0 at 0."""
  positive = values > 0
  root = tf.sqrt(tf.where(positive, values, tf.ones_like(values)))
  return tf.where(positive, root, tf.zeros_like(values))


def where(mask: tf.Tensor, values: tf.Tensor, otherwise: float) -> tf.Tensor:
  """Selects values where a mask is set, and a Python number elsewhere."""
  return tf.where(mask, values, tf.constant(otherwise, values.dtype))
