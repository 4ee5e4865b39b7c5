"""Arithmetic with exact and finite values and gradients."""

from __future__ import annotations

import tensorflow as tf

from . import arguments


def errors(
    labels: tf.Tensor,
    predictions: tf.Tensor,
    *,
    names: tuple[str, str] = ('labels', 'predictions'),
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns predictions - labels, and the predictions, as `arguments.pair`.

  It subtracts before it rounds labels that float32 cannot represent.
  """
  given = tf.convert_to_tensor(labels)
  rounded, predictions = arguments.pair(given, predictions, names=names)
  if given.dtype.size < 4 or given.dtype == tf.float32:
    return predictions - rounded, predictions
  exact = widest(predictions) - widest(given)
  return tf.cast(exact, predictions.dtype), predictions


def over_examples(values: tf.Tensor) -> tf.Tensor:
  """Averages ``[batch_size, ...]`` over all axes but the first."""
  return tf.reduce_mean(values, axis=range(1, values.shape.rank))


def power(base: tf.Tensor, exponent: float) -> tf.Tensor:
  """Raises numbers >= 0 to a power >= 0, with gradient 0 at base 0.

  The infinite slope of a power below 1 at 0 would make gradients NaN.
  """
  tiny = base.dtype.as_numpy_dtype(1e-30)
  return tf.maximum(base, tiny) ** exponent


def norm(vectors: tf.Tensor) -> tf.Tensor:
  """Computes Euclidean norms over the last axis, with gradient 0 at 0.

  Squares of very large or very small numbers neither overflow nor vanish.
  """
  size = _size(vectors)
  return size[..., 0] * sqrt(tf.reduce_sum((vectors / size) ** 2, axis=-1))


def unit(vectors: tf.Tensor) -> tf.Tensor:
  """Scales vectors, on the last axis, to norm 1; 0 stays 0, with gradient 0."""
  scaled = vectors / _size(vectors)
  squares = tf.reduce_sum(scaled**2, axis=-1, keepdims=True)
  is_zero = squares <= 0
  root = tf.math.rsqrt(tf.where(is_zero, tf.ones_like(squares), squares))
  return tf.where(is_zero, tf.zeros_like(scaled), scaled * root)


def sqrt(values: tf.Tensor) -> tf.Tensor:
  """Takes the square root of numbers >= 0, with gradient 0 at 0."""
  is_zero = values <= 0  # Not the negation of > 0: NaN has to stay NaN.
  root = tf.sqrt(tf.where(is_zero, tf.ones_like(values), values))
  return tf.where(is_zero, tf.zeros_like(values), root)


def where(mask: tf.Tensor, values: tf.Tensor, otherwise: float) -> tf.Tensor:
  """Selects values where a mask is set, and a Python number elsewhere."""
  return tf.where(mask, values, tf.constant(otherwise, values.dtype))


def times(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
  """Multiplies, with value and gradient 0 where the weight is 0."""
  return tf.math.multiply_no_nan(values, tf.cast(weights, values.dtype))


def finite_logits(
    logits: tf.Tensor, where_label_is: tf.Tensor | None = None
) -> tf.Tensor:
  """Replaces logits of minus infinity (excluded classes) by a very low number.

  Their probability stays 0, but times its logarithm it is 0, not NaN. A softmax
  of minus infinities only stays NaN. Where `where_label_is`, numbers of the
  logits' shape, is not 0, minus infinity stays: the loss of an excluded label
  is infinite.
  """
  excluded = tf.math.is_inf(logits) & (logits < 0)
  excluded &= tf.reduce_any(logits > logits.dtype.min, axis=-1, keepdims=True)
  if where_label_is is not None:
    excluded &= tf.equal(where_label_is, 0)
  # Half of the lowest number, since the largest logit is yet to be subtracted.
  # In float64 far above it: gradients are multiplied by it, and 0 times an
  # overflow would be NaN.
  lowest = -1e250 if logits.dtype == tf.float64 else logits.dtype.min / 2
  return where(~excluded, logits, lowest)


def widest(tensor: tf.Tensor) -> tf.Tensor:
  """Casts to float64, which holds differences of float32 numbers exactly."""
  return tf.cast(tensor, tf.float64)


def _size(vectors: tf.Tensor) -> tf.Tensor:
  """Returns the largest magnitude of each vector, 1 where it cannot divide.

  The functions scaled by it are homogeneous, so it needs no gradient.
  """
  size = tf.reduce_max(tf.abs(vectors), axis=-1, keepdims=True)
  is_divisor = (size > 0) & tf.math.is_finite(size)
  return tf.stop_gradient(tf.where(is_divisor, size, tf.ones_like(size)))
