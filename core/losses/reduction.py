"""Reductions of the losses of examples, or of their places, to one number."""

from __future__ import annotations

import tensorflow as tf

from .. import checks
from . import arguments


def total(values: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
  r"""Computes the weighted sum of values.

  .. math:: \sum_{i: w_i \ne 0} w_i v_i

  Values of weight 0 are left out: not even an infinite or undefined one reaches
  the sum or the gradient. For an exact global mean, add the totals of all
  replicas and divide by the sum of their weights.

  Args:
    values: ``[batch_size, ...]``, floating point.
    weights: The values' shape or its leading axes, such as ``[batch_size]`` for
      one weight for all places of an example; numbers or booleans >= 0, 0 for
      padding. Default: 1.

  Returns:
    ``[]``.

  Raises:
    ValueError: If there is no batch axis, or the weights' shape does not fit.

  Example:
    >>> from core import losses
    >>> float(losses.total([1.0, 2.0, float('inf')], [1.0, 0.5, 0.0]))
    2.0
  """
  values, weights = _values_and_weights(values, weights)
  return tf.reduce_sum(values * weights)


def mean(values: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
  r"""Computes the weighted mean of values.

  .. math:: \sum_i w_i v_i / \sum_i w_i

  Values of weight 0 are left out (see `total`), so a padded batch has the mean
  of the batch without its padding. Both sums are over all values: the weight of
  an example counts once per place.

  Args:
    values: ``[batch_size, ...]``, floating point.
    weights: See `total`.

  Returns:
    ``[]``; 0 if the weights add up to 0.

  Raises:
    ValueError: If there is no batch axis, or the weights' shape does not fit.

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
  values = arguments.batched('values', values)
  if weights is None:
    return values, tf.ones_like(values)
  weights = tf.cast(tf.convert_to_tensor(weights), values.dtype)
  weights = _of_every_value(weights, values)
  # Select before multiplying: 0 * inf would be NaN, in the gradient too.
  return tf.where(weights == 0, tf.zeros_like(values), values), weights


def _of_every_value(weights: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
  """Repeats weights of leading axes over the remaining axes."""
  rank = weights.shape.rank
  if not rank:
    raise ValueError(
        f'weights: expected the shape of values, {values.shape}, or of its '
        f'leading axes, got {weights.shape}.'
    )
  weights = checks.shape('weights', weights, checks.sizes_of(values)[:rank])
  if rank == values.shape.rank:
    return weights
  for _ in range(values.shape.rank - rank):
    weights = weights[..., tf.newaxis]
  return tf.broadcast_to(weights, tf.shape(values))
