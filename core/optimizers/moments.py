"""Running moments of gradients and the correction of their bias."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .. import checks
from . import nests


def rate(argument: str, value: Any) -> Any:
  """Checks a decay rate and returns it so that 1 - rate is exact.

  Args:
    argument: The name of the argument, for the message.
    value: The rate, a number or a tensor ``[]``.

  Returns:
    The rate, as `exact` returns it.

  Raises:
    ValueError: If it is known and not in [0, 1).
  """
  checks.rate(argument, value)
  return exact(value)


def exact(value: Any) -> Any:
  """Returns the decimal number that a float32 scalar stands for.

  1 - 0.999 has 5 correct digits if 0.999 was rounded to float32 first, and 16
  in Python. So a float32 tensor is taken for the number of seven decimals that
  rounds to it, if there is one.

  Args:
    value: A number, or a tensor ``[]``.

  Returns:
    The number, or a float64 tensor ``[]``.
  """
  if not tf.is_tensor(value):
    return value
  wide = tf.cast(value, tf.float64)
  decimal = tf.round(wide * 1e7) / 1e7
  is_meant = tf.cast(decimal, value.dtype) == value
  return tf.where(is_meant, decimal, wide)


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
      lambda gradient, moment: nests.times(1 - decay, gradient**order)
      + nests.times(decay, tf.cast(moment, gradient.dtype)),
      gradients,
      moments,
  )


def bias_correction(
    moments: nests.Nest, decay: float, count: tf.Tensor
) -> nests.Nest:
  """Returns moment / (1 - decay ** count).

  The decay is rounded as in Optax. The factor is computed in float64, since 1 -
  0.999 ** count magnifies the last bit, in which eager, graph and XLA may
  differ, by a factor of a thousand.

  Args:
    moments: A nest of tensors.
    decay: In [0, 1).
    count: An int64 scalar, at least 1.

  Returns:
    A nest of tensors of the same dtypes.
  """

  def correct(moment: tf.Tensor) -> tf.Tensor:
    rounded = tf.cast(nests.scalar(decay, moment.dtype), tf.float64)
    power = rounded ** tf.cast(count, tf.float64)
    return moment * tf.cast(1 / (1 - power), moment.dtype)

  return tf.nest.map_structure(correct, moments)


def corrected_mean(
    mean: nests.Nest,
    gradients: nests.Nest,
    decay: float,
    count: tf.Tensor,
    nesterov: bool,
) -> nests.Nest:
  """Returns the bias-corrected first moment, or Nesterov's look-ahead of it.

  Args:
    mean: The first moment, including this step's gradients.
    gradients: This step's gradients.
    decay: In [0, 1).
    count: An int64 scalar: the number of gradients in `mean`.
    nesterov: Whether to look one step ahead.

  Returns:
    A nest of tensors.

  Reference:
    `Incorporating Nesterov momentum into Adam
    <https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ>`_.
  """
  if not nesterov:
    return bias_correction(mean, decay, count)
  return tf.nest.map_structure(
      lambda ahead, gradient: nests.times(decay, ahead)
      + nests.times(1 - decay, gradient),
      bias_correction(mean, decay, count + 1),
      bias_correction(gradients, decay, count),
  )
