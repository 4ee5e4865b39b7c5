"""Schedules made of other schedules."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from .. import checks
from . import decays
from . import schedule as schedule_lib


def join(
    schedules: Sequence[schedule_lib.Schedule], boundaries: Sequence[int]
) -> schedule_lib.Schedule:
  """Joins schedules one after another.

  Args:
    schedules: The schedules. Each counts its steps from its own start.
    boundaries: The first step of every schedule but the first, increasing.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If there is not one boundary between each pair of schedules, or
      the boundaries do not increase.

  Reference:
    ``optax.join_schedules``.

  Example:
    >>> from core import schedules
    >>> warmup = schedules.linear(0.0, 1.0, transition_steps=10)
    >>> schedule = schedules.join([warmup, schedules.constant(1.0)], [10])
    >>> float(schedule(5)), float(schedule(50))
    (0.5, 1.0)
  """
  if isinstance(boundaries, str) or not isinstance(boundaries, Iterable):
    raise TypeError(
        f'boundaries: expected a sequence of steps, got {boundaries!r}.'
    )
  boundaries = [checks.static('boundaries', each) for each in boundaries]
  if len(boundaries) != len(schedules) - 1:
    raise ValueError(
        f'boundaries: expected {len(schedules) - 1} for {len(schedules)} '
        f'schedules, got {list(boundaries)}.'
    )
  if list(boundaries) != sorted(set(boundaries)):
    raise ValueError(
        f'boundaries: expected increasing steps, got {list(boundaries)}.'
    )

  def schedule(step: schedule_lib.Step) -> tf.Tensor:
    # Every schedule gets every step, since `tf.where` is elementwise.
    step = tf.cast(tf.convert_to_tensor(step, dtype_hint=tf.int64), tf.int64)
    value = schedules[0](step)
    for boundary, later in zip(boundaries, schedules[1:], strict=True):
      value = tf.where(step < boundary, value, later(step - boundary))
    return value

  return schedule


def _ratio(value: Any, whole: Any) -> Any:
  """Returns value / whole, or 0 if whole is 0."""
  if tf.is_tensor(whole):
    return tf.math.divide_no_nan(tf.convert_to_tensor(value, tf.float64), whole)
  return value / whole if whole else 0.0


def warmup_cosine_decay(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> schedule_lib.Schedule:
  """Schedules a linear warm-up, then `cosine_decay`.

  Args:
    init_value: The value at step 0.
    peak_value: The value at the end of the warm-up.
    warmup_steps: The number of warm-up steps; 0 for none.
    decay_steps: The total number of steps, including the warm-up.
    end_value: The value at the end (0 if `peak_value` is 0).
    exponent: The power of the cosine wave.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If `warmup_steps` is negative or not below `decay_steps`.

  Reference:
    `SGDR <https://arxiv.org/abs/1608.03983>`_, equation 5;
    ``optax.warmup_cosine_decay_schedule``.

  Example:
    >>> from core import schedules
    >>> schedule = schedules.warmup_cosine_decay(0.0, 1.0, 10, 110)
    >>> float(schedule(5)), float(schedule(10)), float(schedule(60))
    (0.5, 1.0, 0.5)
  """
  init_value, peak_value, end_value, exponent = schedule_lib.numbers(
      init_value=init_value,
      peak_value=peak_value,
      end_value=end_value,
      exponent=exponent,
  )
  warmup_steps = checks.static('warmup_steps', warmup_steps)
  decay_steps = checks.static('decay_steps', decay_steps)
  checks.in_range('warmup_steps', warmup_steps, 0, decay_steps - 1)
  decay = decays.cosine_decay(
      peak_value,
      decay_steps - warmup_steps,
      alpha=_ratio(end_value, peak_value),
      exponent=exponent,
  )
  if warmup_steps == 0:
    return decay
  warmup = decays.linear(init_value, peak_value, warmup_steps)
  return join([warmup, decay], [warmup_steps])


def sgdr(
    cosine_kwargs: Sequence[Mapping[str, Any]],
) -> schedule_lib.Schedule:
  """Schedules cosine decays with warm restarts.

  Args:
    cosine_kwargs: The arguments of `warmup_cosine_decay` for every cycle. A
      cycle starts after the ``decay_steps`` of the previous one.

  Returns:
    A schedule: maps a step to a float32 number.

  Raises:
    ValueError: If there is no cycle, or a cycle's arguments are invalid.

  Reference:
    `SGDR <https://arxiv.org/abs/1608.03983>`_; ``optax.sgdr_schedule``.

  Example:
    >>> from core import schedules
    >>> cycle = dict(init_value=1.0, peak_value=1.0, warmup_steps=0)
    >>> schedule = schedules.sgdr(
    ...     [dict(cycle, decay_steps=10), dict(cycle, decay_steps=20)])
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 20)]
    [1.0, 0.5, 1.0, 0.5]
  """
  if not cosine_kwargs:
    raise ValueError('cosine_kwargs: expected at least one cycle, got none.')
  ends = itertools.accumulate(kwargs['decay_steps'] for kwargs in cosine_kwargs)
  cycles = [warmup_cosine_decay(**kwargs) for kwargs in cosine_kwargs]
  return join(cycles, list(ends)[:-1])
