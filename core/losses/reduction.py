"""From a loss an example to one number."""

from __future__ import annotations

import tensorflow as tf

from .. import checks
from . import arguments


def total(values: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
  r"""Computes the weighted sum of per-example values.

  .. math:: \sum_{i: w_i \ne 0} w_i v_i

  An example of weight 0 is left out, whatever its value: not even an infinite
  or undefined value reaches the sum or the gradient. Add the totals of all
  replicas, and divide by the added weights, for an exact global mean.

  Args:
    values: ``[batch_size]``, floating point.
    weights: ``[batch_size]``, numbers or booleans >= 0, 0 for padding; None
      weighs every example 1.

  Returns:
    ``[]``, float32 (float64 if the values are).

  Raises:
    TypeError: If the values are not floating point numbers.
    ValueError: If the values have no batch axis or the weights another shape.

  Example:
    >>> from core import losses
    >>> float(losses.total([1.0, 2.0, float('inf')], [1.0, 0.5, 0.0]))
    2.0
  """
  values, weights = _values_and_weights(values, weights)
  return tf.reduce_sum(values * weights)


def mean(values: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
  r"""Computes the weighted mean of per-example values.

  .. math:: \sum_i w_i v_i / \sum_i w_i

  An example of weight 0 is left out, whatever its value (see `total`), so a
  padded batch gives what the batch without its padding gives.

  Args:
    values: ``[batch_size]``, floating point.
    weights: ``[batch_size]``, numbers or booleans >= 0, 0 for padding; None
      weighs every example 1.

  Returns:
    ``[]``, float32 (float64 if the values are); 0 if the weights add up to 0.

  Raises:
    TypeError: If the values are not floating point numbers.
    ValueError: If the values have no batch axis or the weights another shape.

  Example:
    >>> from core import losses
    >>> float(losses.mean([1.0, 3.0, float('nan')], [1.0, 1.0, 0.0]))
    2.0
  """
  values, weights = _values_and_weights(values, weights)
  return tf.math.divide_no_nan(
      tf.reduce_sum(values * weights), tf.reduce_sum(weights)
  )


def _values_and_weights(
    values: tf.Tensor, weights: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
  values = arguments.floats('values', values)
  checks.rank('values', values, 1)
  if weights is None:
    return values, tf.ones_like(values)
  weights = tf.cast(tf.convert_to_tensor(weights), values.dtype)
  values, weights = checks.same_shape(values=values, weights=weights)
  # Selecting before multiplying: 0 * inf would be NaN, in the gradient too.
  return tf.where(weights == 0, tf.zeros_like(values), values), weights
