"""Schedules over a whole run, in fractions of its length rather than steps.

Each function takes the peak learning rate and the number of steps, and returns
a function from the step to the rate. --schedule finds functions here by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from core import schedules

Schedule = Callable[[Any], tf.Tensor]


def constant(learning_rate: float, num_steps: int) -> Schedule:
  """Keeps the learning rate constant."""
  del num_steps
  return schedules.constant(learning_rate)


def linear(
    learning_rate: float, num_steps: int, end_factor: float = 0.0
) -> Schedule:
  """Decays linearly to a factor of the learning rate."""
  return schedules.linear(learning_rate, learning_rate * end_factor, num_steps)


def polynomial(
    learning_rate: float,
    num_steps: int,
    power: float = 2.0,
    end_factor: float = 0.0,
) -> Schedule:
  """Decays along a polynomial to a factor of the learning rate."""
  return schedules.polynomial(
      learning_rate, learning_rate * end_factor, power, num_steps
  )


def exponential(
    learning_rate: float, num_steps: int, end_factor: float = 0.01
) -> Schedule:
  """Decays exponentially to a factor of the learning rate."""
  return schedules.exponential_decay(learning_rate, num_steps, end_factor)


def piecewise(
    learning_rate: float,
    num_steps: int,
    boundaries: Sequence[float] = (0.5, 0.75),
    factor: float = 0.1,
) -> Schedule:
  """Multiplies the rate by a factor at each boundary, a fraction of the run."""
  _check_fractions('boundaries', *boundaries)
  steps = [round(boundary * num_steps) for boundary in boundaries]
  # Boundaries that fall on the same step all count.
  return schedules.piecewise_constant(
      learning_rate, {step: factor ** steps.count(step) for step in steps}
  )


def cosine(
    learning_rate: float, num_steps: int, end_factor: float = 0.0
) -> Schedule:
  """Decays along half a cosine wave to a factor of the learning rate."""
  return schedules.cosine_decay(learning_rate, num_steps, alpha=end_factor)


def warmup_cosine(
    learning_rate: float,
    num_steps: int,
    warmup_fraction: float = 0.1,
    end_factor: float = 0.0,
) -> Schedule:
  """Warms up linearly, then decays along half a cosine wave."""
  _check_fractions('warmup_fraction', warmup_fraction)
  return schedules.warmup_cosine_decay(
      init_value=0.0,
      peak_value=learning_rate,
      warmup_steps=round(num_steps * warmup_fraction),
      decay_steps=num_steps,
      end_value=learning_rate * end_factor,
  )


def onecycle(
    learning_rate: float, num_steps: int, peak_fraction: float = 0.3
) -> Schedule:
  """Rises and falls along half cosine waves, peaking at a fraction."""
  _check_fractions('peak_fraction', peak_fraction)
  return schedules.cosine_onecycle(num_steps, learning_rate, peak_fraction)


def inverse_sqrt(
    learning_rate: float, num_steps: int, warmup_fraction: float = 0.1
) -> Schedule:
  """Warms up linearly, then decays by the inverse square root of the step."""
  _check_fractions('warmup_fraction', warmup_fraction)
  return schedules.inverse_sqrt(
      learning_rate, max(1, round(num_steps * warmup_fraction))
  )


def _check_fractions(argument: str, *values: float) -> None:
  """Checks fractions of a run: boundaries after its end would do nothing."""
  for value in values:
    if not 0 <= value <= 1:
      raise ValueError(
          f'{argument}: expected a fraction of the run, from 0 to 1, got '
          f'{value}.'
      )
