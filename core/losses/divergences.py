"""Divergences between distributions over classes, and distillation.

They are computed in float64: as differences of larger numbers, they would lose
most digits of float32 where the distributions are close.
"""

from __future__ import annotations

import tensorflow as tf

from . import arguments, numerics


def kl_divergence(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes the Kullback-Leibler divergence of labels from predictions.

  With label probabilities y and :math:`p = \mathrm{softmax}(x)`:

  .. math:: \sum_c y_c (\log y_c - \log p_c)

  Log-probabilities are valid logits: the softmax leaves them unchanged.

  Args:
    labels: ``[batch_size, ..., num_classes]``, probabilities that add up to 1.
    logits: ``[batch_size, ..., num_classes]``, floating point.
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``.

  Raises:
    ValueError: If the shapes differ.

  Reference:
    Kullback and Leibler, `On Information and Sufficiency
    <https://doi.org/10.1214/aoms/1177729694>`_, 1951.

  Example:
    >>> from core import losses
    >>> values = losses.kl_divergence([[1.0, 0.0]], [[0.0, 0.0]])
    >>> round(float(values[0]), 4)
    0.6931
  """
  labels, logits, valid = arguments.distributions(labels, logits, class_mask)
  y, x = numerics.widest(labels), numerics.widest(logits)
  log_p = tf.nn.log_softmax(numerics.finite_logits(x, where_label_is=y))
  values = tf.reduce_sum(tf.math.xlogy(y, y) - y * log_p, axis=-1)
  return arguments.nan_unless(valid, tf.cast(values, logits.dtype))


def jensen_shannon(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes the Jensen-Shannon divergence of labels and predictions.

  With label probabilities y, :math:`p = \mathrm{softmax}(x)` and their mean
  :math:`m = (y + p) / 2`:

  .. math::
    \tfrac{1}{2} \sum_c y_c \log \frac{y_c}{m_c}
    + \tfrac{1}{2} \sum_c p_c \log \frac{p_c}{m_c}

  Args:
    labels: ``[batch_size, ..., num_classes]``, probabilities that add up to 1.
    logits: ``[batch_size, ..., num_classes]``, floating point.
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``, in [0, log 2].

  Raises:
    ValueError: If the shapes differ.

  Reference:
    Lin, `Divergence Measures Based on the Shannon Entropy
    <https://doi.org/10.1109/18.61115>`_, 1991, equation 4.1.

  Example:
    >>> from core import losses
    >>> values = losses.jensen_shannon([[1.0, 0.0]], [[-99.0, 99.0]])
    >>> round(float(values[0]), 4)
    0.6931
  """
  labels, logits, valid = arguments.distributions(labels, logits, class_mask)
  y, x = numerics.widest(labels), numerics.widest(logits)
  log_p = tf.nn.log_softmax(numerics.finite_logits(x))
  p = tf.exp(log_p)
  log_middle = tf.math.log(tf.maximum((y + p) / 2, 1e-300))
  values = 0.5 * tf.reduce_sum(
      tf.math.xlogy(y, y) + p * log_p - (y + p) * log_middle, axis=-1
  )
  return arguments.nan_unless(valid, tf.cast(values, logits.dtype))


def distillation(
    teacher_logits: tf.Tensor,
    logits: tf.Tensor,
    *,
    temperature: float = 2.0,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes the divergence of a student from its teacher, both softened.

  With the teacher's logits z, the student's x and the temperature T:

  .. math::
    T^2 \, \mathrm{KL}(\mathrm{softmax}(z / T) \,\|\, \mathrm{softmax}(x / T))

  The factor keeps the gradient's size at any temperature. No gradient reaches
  the teacher. To add a loss of true labels, see `compose`.

  Args:
    teacher_logits: ``[batch_size, ..., num_classes]``, floating point.
    logits: ``[batch_size, ..., num_classes]``, floating point.
    temperature: > 0; higher ones emphasize small probabilities of the teacher.
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``.

  Raises:
    ValueError: If the shapes differ or the temperature is not positive.

  Reference:
    Hinton et al., `Distilling the Knowledge in a Neural Network
    <https://arxiv.org/abs/1503.02531>`_, 2015, section 2.

  Example:
    >>> from core import losses
    >>> losses.distillation([[1.0, 2.0]], [[4.0, 5.0]]).numpy().tolist()
    [0.0]
  """
  arguments.positive('temperature', temperature)
  teacher_logits, logits = arguments.pair(
      arguments.floats('teacher_logits', teacher_logits),
      logits,
      names=('teacher_logits', 'logits'),
  )
  arguments.class_axis('logits', logits)
  teacher_logits, logits = (
      arguments.possible_logits(class_mask, x) for x in (teacher_logits, logits)
  )
  z = numerics.widest(tf.stop_gradient(teacher_logits)) / temperature
  x = numerics.widest(logits) / temperature
  log_teacher = tf.nn.log_softmax(numerics.finite_logits(z))
  teacher = tf.exp(log_teacher)
  log_student = tf.nn.log_softmax(
      numerics.finite_logits(x, where_label_is=teacher)
  )
  values = tf.reduce_sum(teacher * (log_teacher - log_student), axis=-1)
  return tf.cast(temperature**2 * values, logits.dtype)
