"""Schedules given by values at boundaries."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Mapping

import tensorflow as tf

from .. import checks
from . import schedule as schedule_lib


def _boundaries_and_values(
    init_value: float, boundaries_and_scales: Mapping[int, float] | None
) -> tuple[list[int], list[float]]:
  """Returns the sorted boundaries, and the values before and after each."""
  pairs = sorted((boundaries_and_scales or {}).items())
  for boundary, scale in pairs:
    checks.in_range('boundaries_and_scales', boundary, 0, math.inf)
    checks.in_range('boundaries_and_scales', scale, 0, math.inf)
  scales = [init_value, *(schedule_lib.wide(scale) for _, scale in pairs)]
  values = list(itertools.accumulate(scales, operator.mul))
  return [boundary for boundary, _ in pairs], values


def _num_passed(step: tf.Tensor, boundaries: list[int]) -> tf.Tensor:
  reached = step[..., tf.newaxis] >= tf.constant(boundaries, tf.float64)
  return tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)


def piecewise_constant(
    init_value: float, boundaries_and_scales: Mapping[int, float] | None = None
) -> schedule_lib.Schedule:
  """Schedules constants between boundaries, multiplied by a scale at each.

  Args:
    init_value: The value before the first boundary.
    boundaries_and_scales: Maps the steps at which the value changes to its
      non-negative factors.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If a boundary or a scale is negative.

  Reference:
    ``optax.piecewise_constant_schedule``.

  Example:
    >>> from core import schedules
    >>> schedule = schedules.piecewise_constant(1.0, {10: 0.5, 20: 0.5})
    >>> [float(schedule(step)) for step in (9, 10, 20)]
    [1.0, 0.5, 0.25]
  """
  (init_value,) = schedule_lib.numbers(init_value=init_value)
  boundaries, values = _boundaries_and_values(init_value, boundaries_and_scales)

  def value_at(step: tf.Tensor) -> tf.Tensor:
    return tf.gather(
        tf.convert_to_tensor(values, tf.float64), _num_passed(step, boundaries)
    )

  return schedule_lib.create(value_at)


def piecewise_interpolate(
    interpolate_type: str,
    init_value: float,
    boundaries_and_scales: Mapping[int, float] | None = None,
) -> schedule_lib.Schedule:
  """Schedules an interpolation between values at boundaries.

  Args:
    interpolate_type: 'linear' or 'cosine'.
    init_value: The value at step 0.
    boundaries_and_scales: Maps a step to the non-negative factor from the value
      at the previous boundary to the value at this step. After the last
      boundary the value is constant.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If `interpolate_type` is unknown or a number is negative.

  Reference:
    ``optax.piecewise_interpolate_schedule``.

  Example:
    >>> from core import schedules
    >>> schedule = schedules.piecewise_interpolate('linear', 1.0, {10: 0.5})
    >>> [float(schedule(step)) for step in (0, 5, 10, 15)]
    [1.0, 0.75, 0.5, 0.5]
  """
  (init_value,) = schedule_lib.numbers(init_value=init_value)
  checks.one_of('interpolate_type', interpolate_type, ('linear', 'cosine'))
  boundaries, values = _boundaries_and_values(init_value, boundaries_and_scales)
  edges = [0, *boundaries]

  def value_at(step: tf.Tensor) -> tf.Tensor:
    passed = _num_passed(step, boundaries)
    left, start = (
        tf.gather(tf.convert_to_tensor(of, tf.float64), passed)
        for of in (edges, values)
    )
    # After the last boundary both ends are the last value.
    right, end = (
        tf.gather(tf.convert_to_tensor([*of[1:], of[-1]], tf.float64), passed)
        for of in (edges, values)
    )
    fraction = (step - left) / tf.maximum(right - left, 1)
    if interpolate_type == 'cosine':
      return end + (start - end) / 2 * (tf.cos(math.pi * fraction) + 1)
    return (end - start) * fraction + start

  return schedule_lib.create(value_at)


def linear_onecycle(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> schedule_lib.Schedule:
  """Schedules one cycle of three lines: up, down, and further down.

  Args:
    transition_steps: The number of steps of the cycle.
    peak_value: The maximum value.
    pct_start: The fraction of the cycle at which the peak is reached.
    pct_final: The fraction at which the value is back at its start.
    div_factor: The peak divided by the value at the start.
    final_div_factor: The value at the start divided by that at the end.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If peak, return and end are not different steps, in this order.

  Reference:
    `Super-Convergence <https://arxiv.org/abs/1708.07120>`_;
    ``optax.linear_onecycle_schedule``.

  Example:
    >>> from core import schedules
    >>> schedule = schedules.linear_onecycle(100, 1.0, pct_start=0.5)
    >>> round(float(schedule(0)), 4), round(float(schedule(50)), 4)
    (0.04, 1.0)
  """
  transition_steps = checks.static('transition_steps', transition_steps)
  pct_start = checks.static('pct_start', pct_start)
  pct_final = checks.static('pct_final', pct_final)
  peak_value, div_factor, final_div_factor = schedule_lib.numbers(
      peak_value=peak_value,
      div_factor=div_factor,
      final_div_factor=final_div_factor,
  )
  peak, final = int(pct_start * transition_steps), int(
      pct_final * transition_steps
  )
  if not 0 <= peak < final < transition_steps:
    raise ValueError(
        'transition_steps: expected 0 <= pct_start * transition_steps < '
        'pct_final * transition_steps < transition_steps, rounded down, got '
        f'{peak}, {final} and {transition_steps}.'
    )
  return piecewise_interpolate(
      'linear',
      peak_value / div_factor,
      {
          peak: div_factor,
          final: 1 / div_factor,
          transition_steps: 1 / final_div_factor,
      },
  )


def cosine_onecycle(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> schedule_lib.Schedule:
  """Schedules one cycle of two half cosine waves: up and down.

  Args:
    transition_steps: The number of steps of the cycle.
    peak_value: The maximum value.
    pct_start: The fraction of the cycle at which the peak is reached.
    div_factor: The peak divided by the value at the start.
    final_div_factor: The value at the start divided by that at the end.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If the peak does not come before the end.

  Reference:
    `Super-Convergence <https://arxiv.org/abs/1708.07120>`_;
    ``optax.cosine_onecycle_schedule``.

  Example:
    >>> from core import schedules
    >>> schedule = schedules.cosine_onecycle(100, 1.0, pct_start=0.5)
    >>> round(float(schedule(0)), 4), round(float(schedule(50)), 4)
    (0.04, 1.0)
  """
  transition_steps = checks.static('transition_steps', transition_steps)
  pct_start = checks.static('pct_start', pct_start)
  peak_value, div_factor, final_div_factor = schedule_lib.numbers(
      peak_value=peak_value,
      div_factor=div_factor,
      final_div_factor=final_div_factor,
  )
  peak = int(pct_start * transition_steps)
  if not 0 <= peak < transition_steps:
    raise ValueError(
        'transition_steps: expected 0 <= pct_start * transition_steps < '
        f'transition_steps, rounded down, got {peak} and {transition_steps}.'
    )
  return piecewise_interpolate(
      'cosine',
      peak_value / div_factor,
      {peak: div_factor, transition_steps: 1 / (div_factor * final_div_factor)},
  )
