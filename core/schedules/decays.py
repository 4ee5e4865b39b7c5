"""Schedules with one formula."""

from __future__ import annotations

import math

import tensorflow as tf

from .. import checks
from . import schedule as schedule_lib


def constant(value: float) -> schedule_lib.Schedule:
  """Schedules the same value at every step.

  Args:
    value: The value.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If the value is a `tf.Variable` or has axes.

  Reference:
    ``optax.constant_schedule``.

  Example:
    >>> from core import schedules
    >>> float(schedules.constant(0.5)(1000))
    0.5
  """
  (value,) = schedule_lib.numbers(value=value)
  return schedule_lib.create(
      lambda step: tf.fill(
          tf.shape(step), tf.convert_to_tensor(value, tf.float64)
      )
  )


def polynomial(
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> schedule_lib.Schedule:
  r"""Schedules a polynomial transition from one value to another.

  .. math::
    (v_0 - v_1) (1 - \min(\max(t - t_0, 0), T) / T)^p + v_1

  Args:
    init_value: The value :math:`v_0` until `transition_begin`.
    end_value: The value :math:`v_1` at the end of the transition and after.
    power: The exponent :math:`p`.
    transition_steps: The number of steps :math:`T` of the transition.
    transition_begin: The step :math:`t_0` at which it starts.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If `transition_steps` or `power` is not positive or
      `transition_begin` is negative.

  Reference:
    ``optax.polynomial_schedule``.

  Example:
    >>> from core import schedules
    >>> float(schedules.polynomial(1.0, 0.0, 2, transition_steps=10)(5))
    0.25
  """
  init_value, end_value, power, transition_steps, transition_begin = (
      schedule_lib.numbers(
          init_value=init_value,
          end_value=end_value,
          power=power,
          transition_steps=transition_steps,
          transition_begin=transition_begin,
      )
  )
  checks.in_range('transition_steps', transition_steps, 1, math.inf)
  checks.in_range('transition_begin', transition_begin, 0, math.inf)
  checks.positive('power', power)

  def value_at(step: tf.Tensor) -> tf.Tensor:
    done = tf.clip_by_value(step - transition_begin, 0, transition_steps)
    left = (transition_steps - done) / transition_steps
    return (init_value - end_value) * left**power + end_value

  return schedule_lib.create(value_at)


def linear(
    init_value: float,
    end_value: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> schedule_lib.Schedule:
  """Schedules a linear transition: `polynomial` with power 1.

  Args:
    init_value: The value until `transition_begin`.
    end_value: The value at the end of the transition and after.
    transition_steps: The number of steps of the transition.
    transition_begin: The step at which it starts.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If a number of steps is out of range.

  Reference:
    ``optax.linear_schedule``.

  Example:
    >>> from core import schedules
    >>> float(schedules.linear(0.0, 1.0, transition_steps=4)(3))
    0.75
  """
  return polynomial(
      init_value, end_value, 1, transition_steps, transition_begin
  )


def exponential_decay(
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> schedule_lib.Schedule:
  r"""Schedules a decay by a factor every `transition_steps`.

  .. math::
    v_0 r^{(t - t_0) / T}

  Args:
    init_value: The value :math:`v_0` until `transition_begin`.
    transition_steps: The number of steps :math:`T` per factor `decay_rate`.
    decay_rate: The factor :math:`r`, positive.
    transition_begin: The step :math:`t_0` at which the decay starts.
    staircase: Whether to change the value only every `transition_steps`.
    end_value: A bound of the value: the minimum if `decay_rate` is below 1,
      else the maximum. Default: no bound.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If `transition_steps` or `decay_rate` is not positive or
      `transition_begin` is negative.

  Reference:
    ``optax.exponential_decay``.

  Example:
    >>> from core import schedules
    >>> float(schedules.exponential_decay(1.0, 10, 0.5)(20))
    0.25
  """
  init_value, transition_steps, decay_rate, transition_begin, end_value = (
      schedule_lib.numbers(
          init_value=init_value,
          transition_steps=transition_steps,
          decay_rate=decay_rate,
          transition_begin=transition_begin,
          end_value=end_value,
      )
  )
  checks.in_range('transition_steps', transition_steps, 1, math.inf)
  checks.in_range('transition_begin', transition_begin, 0, math.inf)
  checks.positive('decay_rate', decay_rate)

  def value_at(step: tf.Tensor) -> tf.Tensor:
    periods = tf.maximum(step - transition_begin, 0) / transition_steps
    if staircase:
      periods = tf.floor(periods)
    value = init_value * decay_rate**periods
    if end_value is None:
      return value
    high, low = tf.maximum(value, end_value), tf.minimum(value, end_value)
    return tf.where(decay_rate < 1, high, low)

  return schedule_lib.create(value_at)


def cosine_decay(
    init_value: float,
    decay_steps: int,
    alpha: float = 0.0,
    exponent: float = 1.0,
) -> schedule_lib.Schedule:
  r"""Schedules a decay along half a cosine wave.

  .. math::
    v_0 ((1 - \alpha) (\tfrac{1}{2} (1 + \cos(\pi \min(t, T) / T)))^p + \alpha)

  Args:
    init_value: The value :math:`v_0` at step 0.
    decay_steps: The number of steps :math:`T` of the decay.
    alpha: The last value as a fraction of `init_value`.
    exponent: The power :math:`p`.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If `decay_steps` is not positive.

  Reference:
    `SGDR <https://arxiv.org/abs/1608.03983>`_, equation 5;
    ``optax.cosine_decay_schedule``.

  Example:
    >>> from core import schedules
    >>> float(schedules.cosine_decay(1.0, decay_steps=100)(50))
    0.5
  """
  init_value, decay_steps, alpha, exponent = schedule_lib.numbers(
      init_value=init_value,
      decay_steps=decay_steps,
      alpha=alpha,
      exponent=exponent,
  )
  checks.in_range('decay_steps', decay_steps, 1, math.inf)

  def value_at(step: tf.Tensor) -> tf.Tensor:
    done = tf.minimum(step, decay_steps) / decay_steps
    wave = 0.5 * (1 + tf.cos(math.pi * done))
    return init_value * ((1 - alpha) * wave**exponent + alpha)

  return schedule_lib.create(value_at)


def inverse_sqrt(
    peak_value: float, warmup_steps: int, init_value: float = 0.0
) -> schedule_lib.Schedule:
  r"""Schedules a linear warm-up, then the inverse square root of the step.

  .. math::
    v_0 + (v - v_0) t / w \quad (t < w), \qquad v \sqrt{w / t} \quad (t \ge w)

  Args:
    peak_value: The value :math:`v` at the end of the warm-up.
    warmup_steps: The number of steps :math:`w` of the warm-up, at least 1.
    init_value: The value :math:`v_0` at step 0.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If `warmup_steps` is not positive.

  Reference:
    `Attention is all you need <https://arxiv.org/abs/1706.03762>`_,
    equation 3, with `peak_value` = (model width * warm-up steps) ** -0.5.

  Example:
    >>> from core import schedules
    >>> float(schedules.inverse_sqrt(1.0, warmup_steps=100)(400))
    0.5
  """
  peak_value, warmup_steps, init_value = schedule_lib.numbers(
      peak_value=peak_value,
      warmup_steps=warmup_steps,
      init_value=init_value,
  )
  checks.in_range('warmup_steps', warmup_steps, 1, math.inf)

  def value_at(step: tf.Tensor) -> tf.Tensor:
    rise = init_value + (peak_value - init_value) * step / warmup_steps
    fall = peak_value * tf.sqrt(warmup_steps / tf.maximum(step, warmup_steps))
    return tf.where(step < warmup_steps, rise, fall)

  return schedule_lib.create(value_at)
