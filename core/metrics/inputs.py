"""Checked and masked inputs, the same for every metric.

Examples of weight 0 may hold anything, NaN and infinity and labels out of
range included: they are replaced before any arithmetic. At any other weight a
label out of range raises a ValueError when called eagerly and, inside
`tf.function` where it can not be told, turns the sums into NaN. So does a
prediction that is NaN or, for classes, infinite, except for classes excluded by
a logit of minus infinity: a wrong example is never dropped in silence.
"""

from __future__ import annotations

import math
import operator

import tensorflow as tf

from .. import checks

Examples = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def at_least(argument: str, value: int, low: int) -> int:
  """Checks a Python or NumPy integer from below, and returns Python's.

  Raises:
    ValueError: If it is less than `low`.
    TypeError: If it is not an integer.
  """
  try:
    number = operator.index(value)
  except TypeError:
    message = f'{argument}: expected an integer, got {value!r}.'
    raise TypeError(message) from None
  if number < low:
    raise ValueError(f'{argument}: expected at least {low}, got {value}.')
  return number


def classes(
    labels: tf.Tensor,
    predictions: tf.Tensor,
    weights: tf.Tensor | None,
    num_classes: int | None = None,
) -> Examples:
  """Prepares class labels and logits.

  Args:
    labels: ``[batch_size]``, integers in [0, num_classes).
    predictions: ``[batch_size, num_classes]``, logits of any float dtype.
    weights: ``[batch_size]``, or None for 1 each.
    num_classes: The number of classes that predictions must have.

  Returns:
    labels int32, logits float32 (float64 if float32 does not hold them) and
    weights float32, of the shapes given.

  Raises:
    ValueError: If a shape is wrong or, eagerly, a label is out of range.
    TypeError: If the labels are not integers.
  """
  labels = tf.convert_to_tensor(labels)
  logits = _floats('predictions', predictions)
  checks.integers('labels', labels)
  checks.rank('labels', labels, 1)
  checks.rank('predictions', logits, 2)
  logits = checks.shape(
      'predictions', logits, [*checks.sizes_of(labels), num_classes]
  )
  weights = _weights(weights, labels)
  seen = tf.not_equal(weights, 0)
  labels = tf.cast(labels, tf.int64)  # A narrower one might not hold the size.
  in_range = (labels >= 0) & (labels < tf.shape(logits, tf.int64)[-1])
  _check_labels(seen, in_range, f'[0, {logits.shape[-1]})')
  logits = tf.where(seen[:, tf.newaxis], logits, tf.zeros_like(logits))
  is_number = ~tf.reduce_any(tf.math.is_nan(logits), axis=-1)
  is_number &= tf.math.is_finite(tf.reduce_max(logits, axis=-1))
  labels = tf.where(in_range, tf.cast(labels, tf.int32), 0)
  return labels, logits, _poison(weights, seen, in_range & is_number)


def binary(
    labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None
) -> Examples:
  """Prepares binary labels and logits.

  Args:
    labels: ``[batch_size]``, 0 or 1, of any dtype.
    predictions: ``[batch_size]``, logits of any float dtype.
    weights: ``[batch_size]``, or None for 1 each.

  Returns:
    labels, logits and weights, ``[batch_size]`` float32; logits float64 if
    float32 does not hold them.

  Raises:
    ValueError: If a shape is wrong or, eagerly, a label is not 0 or 1.
  """
  labels = tf.convert_to_tensor(labels)
  logits = _floats('predictions', predictions)
  checks.rank('labels', labels, 1)
  checks.rank('predictions', logits, 1)
  labels, logits = checks.same_shape(labels=labels, predictions=logits)
  weights = _weights(weights, labels)
  seen = tf.not_equal(weights, 0)
  if labels.dtype == tf.bool:
    labels = tf.cast(labels, tf.float32)
  # Before they are rounded to float32.
  in_range = tf.equal(labels, 0) | tf.equal(labels, 1)
  _check_labels(seen, in_range, '{0, 1}')
  logits = tf.where(seen, logits, tf.zeros_like(logits))
  labels = tf.where(in_range, tf.cast(labels, tf.float32), 0.0)
  is_number = ~tf.math.is_nan(logits)
  return labels, logits, _poison(weights, seen, in_range & is_number)


def numbers(
    weights: tf.Tensor | None,
    dtype: tf.DType | None = None,
    **values: tf.Tensor,
) -> list[tf.Tensor]:
  """Prepares real values, one or more an example.

  Args:
    weights: ``[batch_size]``, or None for 1 each.
    dtype: The float dtype to compute in. If None, float32, or float64 if
      float32 does not hold one of the values: what is to be subtracted must
      not be rounded before.
    **values: By argument name, numbers ``[batch_size, ...]``, all of one shape.

  Returns:
    The values in their order, ``[batch_size, size]``, all axes but the first
    in one, and last the weights ``[batch_size]``, all in dtype.

  Raises:
    ValueError: If shapes differ, are [], or weights has another shape.
  """
  tensors = {
      name: _floats(name, value, dtype) for name, value in values.items()
  }
  dtype = max((t.dtype for t in tensors.values()), key=lambda d: d.size)
  tensors = {name: tf.cast(t, dtype) for name, t in tensors.items()}
  tensors = dict(zip(tensors, checks.same_shape(**tensors), strict=True))
  for name, tensor in tensors.items():
    if tensor.shape.rank in (0, None):
      raise ValueError(
          f'{name}: expected [batch_size, ...], got {tensor.shape}.'
      )
  flat = [_flatten(tensor) for tensor in tensors.values()]
  weights = tf.cast(_weights(weights, flat[0][:, 0]), dtype)
  seen = tf.not_equal(weights, 0)[:, tf.newaxis]
  return [
      *(tf.where(seen, tensor, tf.zeros_like(tensor)) for tensor in flat),
      weights,
  ]


def _floats(
    argument: str, values: tf.Tensor, dtype: tf.DType | None = None
) -> tf.Tensor:
  values = tf.convert_to_tensor(values)
  given = values.dtype
  if not (given.is_floating or given.is_integer):
    raise TypeError(f'{argument}: expected numbers, got {given.name}.')
  is_held = given.size < 4 or given == tf.float32
  return tf.cast(values, dtype or (tf.float32 if is_held else tf.float64))


def _flatten(values: tf.Tensor) -> tf.Tensor:
  rest = values.shape[1:]
  is_known = rest.is_fully_defined()
  size = math.prod(rest) if is_known else tf.reduce_prod(tf.shape(values)[1:])
  return tf.reshape(values, [-1, size])


def _weights(weights: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor:
  if weights is None:
    return tf.ones_like(like, tf.float32)
  weights = tf.cast(weights, tf.float32)
  checks.rank('weights', weights, 1)
  return checks.shape('weights', weights, checks.sizes_of(like))


def _check_labels(seen: tf.Tensor, in_range: tf.Tensor, known: str) -> None:
  if not tf.is_symbolic_tensor(in_range) and tf.reduce_any(seen & ~in_range):
    raise ValueError(
        f'labels: expected values in {known}, got others; give examples to be '
        'ignored weight 0.'
    )


def _poison(
    weights: tf.Tensor, seen: tf.Tensor, is_valid: tf.Tensor
) -> tf.Tensor:
  return tf.where(seen & ~is_valid, math.nan, weights)
