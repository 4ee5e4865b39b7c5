"""Running moments of gradients and the correction of their bias."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .. import checks
from . import nests


def rate(argument: str, value: Any) -> Any:
  """Returns a decay rate, a number or a tensor ``[]``, made `exact`.

  Raises:
    ValueError: If it is known and not in [0, 1).
  """
  checks.rate(argument, value)
  return exact(value)


def exact(value: Any) -> Any:
  """Returns the decimal number that a float32 scalar stands for, in float64.

  1 - 0.999 has 5 correct digits if 0.999 was rounded to float32 first, and 16
  in Python. So a float32 tensor is taken for the number of seven decimals that
  rounds to it, if there is one. Python numbers are returned unchanged.
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

  The result has the dtypes of the gradients.
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
  """Returns moment / (1 - decay ** count), for a count of at least 1.

  The decay is rounded as in Optax. The factor is computed in float64, since 1 -
  0.999 ** count magnifies the last bit, in which eager, graph and XLA may
  differ, by a factor of a thousand.
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

  The moment `mean` includes this step's gradients, and `count` is their number.

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
