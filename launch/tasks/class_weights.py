"""A factor for the loss of each class."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from core import objectives

from .. import config as config_lib
from .. import data as data_lib
from .. import programs


def of(
    data: data_lib.DataSpec, config: config_lib.Config
) -> Sequence[float] | None:
  """Returns the factor of the loss of each class.

  `balanced` factors are inversely proportional to the training examples per
  class, with mean 1 over the examples.

  Raises:
    UserError: If there is not one factor per class, or all are 0.
  """
  weights, num_classes = config.class_weights, data.target.num_classes
  if weights is None:
    return None
  if weights == 'balanced':
    total = sum(data.class_counts)
    return [total / (num_classes * max(n, 1)) for n in data.class_counts]
  if len(weights) != num_classes:
    raise programs.UserError(
        f'--class_weights: {len(weights)} weights for {num_classes} classes; '
        'give one per class.'
    )
  # In float32, smaller numbers would round to 0, and larger ones to infinity.
  if not all(w == 0 or 1e-30 <= w <= 1e30 for w in weights) or not any(weights):
    raise programs.UserError(
        f'--class_weights: {",".join(map(str, weights))}: expected 0 or '
        'numbers in [1e-30, 1e30], and not all of them 0.'
    )
  return weights


def weighted(
    loss: objectives.Loss, weights: Sequence[float] | None
) -> objectives.Loss:
  """Multiplies the loss of each label by the factor of its class.

  Args:
    loss: A function of integer labels and logits to losses, one per label.
    weights: The factor of each class. If None, the loss is unchanged.

  Returns:
    The loss, which raises UserError if the losses have another shape.
  """
  if weights is None:
    return loss

  def weighted_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    values = loss(labels, logits)
    if len(values.shape) != len(labels.shape):
      raise programs.UserError(
          '--class_weights: the loss returns one value per example, not one '
          'per label.'
      )
    factors = tf.constant(weights, values.dtype)
    return values * tf.gather(factors, labels)

  return weighted_loss
