"""Running moments of gradients and the correction of their bias."""

from __future__ import annotations

import tensorflow as tf

from .. import checks
from . import nests


def check_decay(argument: str, value: float) -> None:
  """Checks that a rate of decay lies in [0, 1).

  Args:
    argument: The name of the argument, for the message.
    value: The rate.

  Raises:
    ValueError: If it does not: nothing would be learnt, or it would diverge.
  """
  checks.number(argument, value)
  if not 0 <= value < 1:
    raise ValueError(f'{argument}: expected a number in [0, 1), got {value}.')


def update_moment(
    gradients: nests.Nest, moments: nests.Nest, decay: float, order: int
) -> nests.Nest:
  """Returns (1 - decay) * gradient ** order + decay * moment.

  Args:
    gradients: A nest of tensors.
    moments: A nest of tensors of the same shapes.
    decay: In [0, 1).
    order: 1 or 2.

  Returns:
    A nest of tensors in the dtypes of the gradients.
  """
  return tf.nest.map_structure(
      lambda gradient, moment: (1 - decay) * gradient**order
      + decay * tf.cast(moment, gradient.dtype),
      gradients,
      moments,
  )


def bias_correction(
    moments: nests.Nest, decay: float, count: tf.Tensor
) -> nests.Nest:
  """Returns moment / (1 - decay ** count).

  The decay is rounded as Optax rounds it. The factor is computed in float64,
  since 1 - 0.999 ** count magnifies the last bit, in which eager, graph and XLA
  may differ, by a thousand.

  Args:
    moments: A nest of tensors.
    decay: In [0, 1).
    count: An int64 scalar, at least 1.

  Returns:
    A nest of tensors of the same dtypes.
  """

  def correct(moment: tf.Tensor) -> tf.Tensor:
    rate = tf.cast(tf.constant(decay, moment.dtype), tf.float64)
    power = rate ** tf.cast(count, tf.float64)
    return moment * tf.cast(1 / (1 - power), moment.dtype)

  return tf.nest.map_structure(correct, moments)


def corrected_mean(
    mean: nests.Nest,
    gradients: nests.Nest,
    decay: float,
    count: tf.Tensor,
    nesterov: bool,
) -> nests.Nest:
  """Returns the bias-corrected first moment, or Nesterov's look ahead of it.

  Args:
    mean: The first moment, this step's gradients included.
    gradients: This step's gradients.
    decay: In [0, 1).
    count: An int64 scalar: the number of gradients in `mean`.
    nesterov: Whether to take one step of decay ahead.

  Returns:
    A nest of tensors.

  Reference:
    `Incorporating Nesterov momentum into Adam
    <https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ>`_.
  """
  if not nesterov:
    return bias_correction(mean, decay, count)
  return tf.nest.map_structure(
      lambda ahead, gradient: decay * ahead + (1 - decay) * gradient,
      bias_correction(mean, decay, count + 1),
      bias_correction(gradients, decay, count),
  )
