"""Losses of binary labels, one or many per example, from logits."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from .. import checks
from . import arguments, numerics


def sigmoid_binary_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    positive_weights: float | Sequence[float] | tf.Tensor | None = None,
) -> tf.Tensor:
  r"""Computes the cross-entropy of binary labels and the logits' sigmoid.

  With :math:`p = \sigma(x)`, averaged over all axes but the first:

  .. math:: -w_c \, y_c \log p_c - (1 - y_c) \log (1 - p_c)

  Args:
    labels: ``[batch_size]`` or ``[batch_size, ..., num_classes]``, numbers in
      [0, 1] or booleans.
    logits: Floating point, of the labels' shape.
    positive_weights: A number or ``[num_classes]``, >= 0: the weight of a
      positive relative to a negative. Default: 1.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If shapes do not fit.

  Reference:
    ``tf.nn.weighted_cross_entropy_with_logits``, averaged;
    ``optax.losses.sigmoid_binary_cross_entropy`` without positive weights.

  Example:
    >>> from core import losses
    >>> values = losses.sigmoid_binary_cross_entropy([[1, 0]], [[0.0, -9.0]])
    >>> round(float(values[0]), 4)
    0.3466
  """
  labels, logits, valid = arguments.binary(labels, logits)
  weights = _positive_weights(positive_weights, logits)
  values = _cross_entropy(labels * weights, 1 - labels, logits)
  return numerics.over_examples(arguments.nan_unless(valid, values))


def sigmoid_focal_loss(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
) -> tf.Tensor:
  r"""Computes the binary focal loss, which down-weights easy examples.

  With :math:`p = \sigma(x)`, the probability of the label
  :math:`p_t = y p + (1 - y)(1 - p)` and its weight
  :math:`\alpha_t = y \alpha + (1 - y)(1 - \alpha)`, averaged over all axes but
  the first:

  .. math:: \alpha_t (1 - p_t)^\gamma
    \left( -y \log p - (1 - y) \log (1 - p) \right)

  Args:
    labels: ``[batch_size]`` or ``[batch_size, ..., num_classes]``, numbers in
      [0, 1] or booleans.
    logits: Floating point, of the labels' shape.
    alpha: The weight of a positive, in [0, 1] (the paper uses 0.25); that of a
      negative is 1 - alpha. If None, both are 1.
    gamma: How fast easy examples lose weight, >= 0; 0 is the cross-entropy.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ or an option is out of range.

  Reference:
    Lin et al., `Focal Loss for Dense Object Detection
    <https://arxiv.org/abs/1708.02002>`_, 2017, equation 5.

  Example:
    >>> from core import losses
    >>> values = losses.sigmoid_focal_loss([1], [0.0], gamma=1.0)
    >>> round(float(values[0]), 4)
    0.3466
  """
  arguments.not_negative('gamma', gamma)
  labels, logits, valid = arguments.binary(labels, logits)
  values = _cross_entropy(labels, 1 - labels, logits)
  miss = labels * tf.sigmoid(-logits) + (1 - labels) * tf.sigmoid(logits)
  values *= numerics.power(miss, gamma)
  if alpha is not None:
    checks.in_range('alpha', alpha, 0, 1)
    share = labels * alpha + (1 - labels) * (1 - alpha)
    values = numerics.times(values, share)
  return numerics.over_examples(arguments.nan_unless(valid, values))


def _cross_entropy(
    positives: tf.Tensor, negatives: tf.Tensor, logits: tf.Tensor
) -> tf.Tensor:
  # Both terms are positive: nothing cancels where the model is right.
  return numerics.times(tf.math.softplus(-logits), positives) + numerics.times(
      tf.math.softplus(logits), negatives
  )


def _positive_weights(
    weights: float | Sequence[float] | tf.Tensor | None, logits: tf.Tensor
) -> tf.Tensor:
  tensor = tf.cast(1.0 if weights is None else weights, logits.dtype)
  if tensor.shape.rank == 0:
    return tensor
  # Per class: logits [batch_size] have no class axis.
  expected = checks.sizes_of(logits)[1:][-1:]
  return checks.shape('positive_weights', tensor, expected)
