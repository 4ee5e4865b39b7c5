"""Losses of one class among many that tolerate wrong labels."""

from __future__ import annotations

import tensorflow as tf

from .. import checks
from . import arguments, classification


def generalized_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    q: float = 0.7,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes a loss between cross-entropy (q to 0) and absolute error (1).

  .. math:: (1 - p_y^q) / q

  Args:
    labels: ``[batch_size, ...]``, integers in [0, num_classes).
    logits: ``[batch_size, ..., num_classes]``, floating point.
    q: In (0, 1]; larger values tolerate more noise and learn more slowly.
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``, at most 1 / q.

  Raises:
    ValueError: If shapes do not fit or q is out of range.

  Reference:
    Zhang and Sabuncu, `Generalized Cross Entropy Loss for Training Deep Neural
    Networks with Noisy Labels <https://arxiv.org/abs/1805.07836>`_, 2018,
    equation 6.

  Example:
    >>> from core import losses
    >>> values = losses.generalized_cross_entropy([0], [[0.0, 0.0]], q=1.0)
    >>> round(float(values[0]), 4)
    0.5
  """
  arguments.positive('q', q)
  checks.in_range('q', q, 0, 1)
  cross_entropy = classification.of_integers(
      labels, logits, class_mask=class_mask
  )
  return -tf.math.expm1(-q * cross_entropy) / q


def symmetric_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes cross-entropy plus reverse cross-entropy.

  The reverse cross-entropy takes the logarithm of the label, with A for the
  logarithm of 0, which leaves :math:`-A (1 - p_y)` of :math:`-\sum_c p_c \log
  y_c`:

  .. math:: -\alpha \log p_y - \beta A \, (1 - p_y)

  Args:
    labels: ``[batch_size, ...]``, integers in [0, num_classes).
    logits: ``[batch_size, ..., num_classes]``, floating point.
    alpha: The factor of the cross-entropy, >= 0 (the paper: 0.1 for CIFAR-10,
      6 for CIFAR-100).
    beta: The factor of the reverse cross-entropy, >= 0 (0.1 for CIFAR-100).
    log_zero: The number A < 0.
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``.

  Raises:
    ValueError: If shapes do not fit or an option is out of range.

  Reference:
    Wang et al., `Symmetric Cross Entropy for Robust Learning with Noisy Labels
    <https://arxiv.org/abs/1908.06112>`_, 2019, equation 7.

  Example:
    >>> from core import losses
    >>> values = losses.symmetric_cross_entropy([0], [[0.0, 0.0]], alpha=0.0)
    >>> round(float(values[0]), 4)
    2.0
  """
  arguments.not_negative('alpha', alpha)
  arguments.not_negative('beta', beta)
  checks.in_range('log_zero', log_zero, -float('inf'), 0)
  cross_entropy = classification.of_integers(
      labels, logits, class_mask=class_mask
  )
  reverse = log_zero * tf.math.expm1(-cross_entropy)
  if not alpha:  # 0 times an infinite cross-entropy would be NaN.
    return beta * reverse
  return alpha * cross_entropy + beta * reverse
