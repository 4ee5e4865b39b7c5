"""Losses of one class among many, from logits."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import tensorflow as tf

from .. import checks, compilation
from . import arguments, numerics


def softmax_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    class_weights: Sequence[float] | tf.Tensor | None = None,
    label_smoothing: float = 0.0,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes the cross-entropy of labels and the logits' softmax.

  The labels are integers, or probabilities (one-hot, mixed or soft): their
  dtype tells. With the probabilities :math:`p = \mathrm{softmax}(x)`, those of
  the label y (1 for an integer's class), the smoothing :math:`\alpha` and C
  classes:

  .. math::
    \left( \sum_c w_c y_c \right) \left( -\sum_c
    ((1 - \alpha) y_c + \alpha / C) \log p_c \right)

  A class weight multiplies the loss of each example of its class; the mean over
  a batch (`mean`) still divides by the example weights. PyTorch's default
  reduction divides by the sum of the class weights instead.

  Args:
    labels: ``[batch_size, ...]``, integers in [0, num_classes), or
      ``[batch_size, ..., num_classes]``, floating point probabilities that add
      up to 1.
    logits: ``[batch_size, ..., num_classes]``, floating point.
    class_weights: ``[num_classes]``, numbers >= 0. Default: 1 for each.
    label_smoothing: The share of the label that is spread evenly over all
      possible classes, in [0, 1].
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``.

  Raises:
    ValueError: If shapes do not fit or the smoothing is out of range.

  Reference:
    Szegedy et al., `Rethinking the Inception Architecture for Computer Vision
    <https://arxiv.org/abs/1512.00567>`_, 2015, section 7 (the smoothing).

  Example:
    >>> from core import losses
    >>> values = losses.softmax_cross_entropy([0, 1], [[0.0, 0.0], [0.0, 9.0]])
    >>> [round(float(value), 4) for value in values]
    [0.6931, 0.0001]
    >>> values = losses.softmax_cross_entropy([[0.5, 0.5]], [[0.0, 0.0]])
    >>> round(float(values[0]), 4)
    0.6931
  """
  checks.in_range('label_smoothing', label_smoothing, 0, 1)
  labels, logits = tf.convert_to_tensor(labels), tf.convert_to_tensor(logits)
  ranks = (None, logits.shape.rank)
  has_probabilities = labels.dtype.is_floating and labels.shape.rank in ranks
  loss = _of_probabilities if has_probabilities else of_integers
  return loss(labels, logits, class_weights, label_smoothing, class_mask)


def softmax_focal_loss(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    gamma: float = 2.0,
    class_weights: Sequence[float] | tf.Tensor | None = None,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes the focal loss, which down-weights easy examples.

  .. math:: -w_y (1 - p_y)^\gamma \log p_y

  Args:
    labels: ``[batch_size, ...]``, integers in [0, num_classes).
    logits: ``[batch_size, ..., num_classes]``, floating point.
    gamma: How fast easy examples lose weight, >= 0; 0 is the cross-entropy.
    class_weights: ``[num_classes]``, >= 0: the paper's alpha. Default: 1.
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``.

  Raises:
    ValueError: If shapes do not fit or gamma is negative.

  Reference:
    Lin et al., `Focal Loss for Dense Object Detection
    <https://arxiv.org/abs/1708.02002>`_, 2017, equation 5.

  Example:
    >>> from core import losses
    >>> values = losses.softmax_focal_loss([0], [[0.0, 0.0]], gamma=1.0)
    >>> round(float(values[0]), 4)
    0.3466
  """
  arguments.not_negative('gamma', gamma)
  loss = functools.partial(of_integers, class_mask=class_mask)
  cross_entropy = loss(labels, logits)
  weighted = loss(labels, logits, class_weights=class_weights)
  return numerics.power(-tf.math.expm1(-cross_entropy), gamma) * weighted


def poly_loss_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    epsilon: float = 2.0,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes the cross-entropy with its first polynomial term reweighed.

  .. math:: -\log p_y + \epsilon \, (1 - p_y)

  Args:
    labels: ``[batch_size, ...]``, integers in [0, num_classes).
    logits: ``[batch_size, ..., num_classes]``, floating point.
    epsilon: The coefficient, >= -1; the paper suggests 2 for images.
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``.

  Raises:
    ValueError: If shapes do not fit or epsilon is below -1.

  Reference:
    Leng et al., `PolyLoss: A Polynomial Expansion Perspective of
    Classification Loss Functions <https://arxiv.org/abs/2204.12511>`_, 2022,
    equation 5.

  Example:
    >>> from core import losses
    >>> values = losses.poly_loss_cross_entropy([0], [[0.0, 0.0]])
    >>> round(float(values[0]), 4)
    1.6931
  """
  checks.in_range('epsilon', epsilon, -1, float('inf'))
  cross_entropy = of_integers(labels, logits, class_mask=class_mask)
  return cross_entropy - epsilon * tf.math.expm1(-cross_entropy)


def of_integers(
    labels: tf.Tensor,
    logits: tf.Tensor,
    class_weights: Sequence[float] | tf.Tensor | None = None,
    label_smoothing: float = 0.0,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  """Computes `softmax_cross_entropy` of integer labels only."""
  arguments.class_axis('logits', logits)
  labels, logits, valid = arguments.classes(labels, logits, class_mask)
  values = _cross_entropy(labels, logits)
  if label_smoothing:
    possible = _possible(logits)
    log_p = tf.nn.log_softmax(numerics.finite_logits(logits))
    uniform = -tf.reduce_sum(numerics.times(log_p, possible), axis=-1)
    uniform /= tf.reduce_sum(possible, axis=-1)
    values = numerics.times(values, 1 - label_smoothing)
    values += label_smoothing * uniform
  if class_weights is not None:
    weights = arguments.class_weights(class_weights, logits)
    values = numerics.times(values, tf.gather(weights, labels))
  return arguments.nan_unless(valid, values)


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
  """Computes ``[...]`` of valid labels ``[...]`` and ``[..., num_classes]``.

  If operations must be deterministic, TensorFlow replaces its kernel, which is
  not on GPUs, by a gather. The gradient of that is a scatter, which XLA then
  sorts. XLA compiles the kernel itself without a scatter, deterministically.
  """
  if not compilation.is_tracing_for_xla():
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
  values = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
      features=tf.reshape(logits, [-1, checks.sizes_of(logits)[-1]]),
      labels=tf.reshape(labels, [-1]),
  ).loss
  return tf.reshape(values, checks.sizes_of(labels))


def _of_probabilities(
    labels: tf.Tensor,
    logits: tf.Tensor,
    class_weights: Sequence[float] | tf.Tensor | None,
    label_smoothing: float,
    class_mask: arguments.ClassMask | None,
) -> tf.Tensor:
  labels, logits, valid = arguments.distributions(labels, logits, class_mask)
  smooth = labels
  if label_smoothing:
    possible = _possible(logits)
    num_possible = tf.reduce_sum(possible, axis=-1, keepdims=True)
    uniform = possible / num_possible
    smooth = (1 - label_smoothing) * labels + label_smoothing * uniform
  values = tf.nn.softmax_cross_entropy_with_logits(
      smooth, numerics.finite_logits(logits, where_label_is=smooth)
  )
  if class_weights is not None:
    weights = arguments.class_weights(class_weights, logits)
    values = numerics.times(values, tf.reduce_sum(labels * weights, axis=-1))
  return arguments.nan_unless(valid, values)


def _possible(logits: tf.Tensor) -> tf.Tensor:
  """Returns 1 for each possible class, 0 for each excluded one."""
  return tf.cast(tf.not_equal(logits, -math.inf), logits.dtype)
