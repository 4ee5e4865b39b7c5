"""Margin losses of classifiers: no loss once the score is high enough."""

from __future__ import annotations

import tensorflow as tf

from . import arguments, numerics


def hinge_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
  r"""Computes the hinge loss of binary labels.

  With :math:`t = 2 y - 1`, averaged over all axes but the first:

  .. math:: \max(0, 1 - t x)

  Args:
    labels: ``[batch_size, ...]``, 0 or 1 (not -1 or 1) or booleans.
    logits: ``[batch_size, ...]``, floating point scores, of the labels' shape.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ.

  Reference:
    Cortes and Vapnik, `Support-Vector Networks
    <https://doi.org/10.1007/BF00994018>`_, 1995.

  Example:
    >>> from core import losses
    >>> losses.hinge_loss([1, 0, 1], [0.25, 0.25, 3.0]).numpy().tolist()
    [0.75, 1.25, 0.0]
  """
  labels, logits, valid = arguments.binary(labels, logits)
  values = tf.nn.relu(1 - numerics.times(logits, 2 * labels - 1))
  return numerics.over_examples(arguments.nan_unless(valid, values))


def multiclass_hinge_loss(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    margin: float = 1.0,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes the hinge loss against the highest score of a wrong class.

  .. math:: \max(0, m + \max_{c \ne y} x_c - x_y)

  Args:
    labels: ``[batch_size, ...]``, integers in [0, num_classes).
    logits: ``[batch_size, ..., num_classes]``, floating point scores.
    margin: By how much the right class should lead, >= 0.
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``.

  Raises:
    ValueError: If shapes do not fit or the margin is negative.

  Reference:
    Crammer and Singer, `On the Algorithmic Implementation of Multiclass
    Kernel-based Vector Machines
    <https://www.jmlr.org/papers/v2/crammer01a.html>`_, 2001.

  Example:
    >>> from core import losses
    >>> losses.multiclass_hinge_loss([1], [[2.0, 1.5, 0.0]]).numpy().tolist()
    [1.5]
  """
  arguments.not_negative('margin', margin)
  arguments.class_axis('logits', logits)
  labels, logits, valid = arguments.classes(labels, logits, class_mask)
  right = tf.one_hot(labels, tf.shape(logits)[-1], True, False)
  score = tf.reduce_sum(numerics.where(right, logits, 0.0), axis=-1)
  rival = tf.reduce_max(numerics.where(~right, logits, -1e30), axis=-1)
  return arguments.nan_unless(valid, tf.nn.relu(margin + rival - score))
