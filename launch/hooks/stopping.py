"""Stops a run early: when it no longer improves, or when time is over."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from core import workers

from . import monitor as monitor_lib


class EarlyStopping:
  """Stops a run after `patience` validations in a row without improvement."""

  state: dict[str, tf.Variable]

  def __init__(self, patience: int, monitor: monitor_lib.Monitor):
    """Sets the number of validations, and the metric to improve."""
    self._patience = patience
    self._monitor = monitor

  def init(self) -> dict[str, Any]:
    """Returns the state before any validation."""
    return {'best': self._monitor.worst(), 'best_step': -1, 'validations': 0}

  def __call__(self, step: int, values: Mapping[str, float]) -> str | None:
    """Counts validations."""
    value = values[self._monitor.metric]
    if self._monitor.is_better(value, float(self.state['best'])):
      self.state['best'].assign(value)
      self.state['best_step'].assign(step)
      self.state['validations'].assign(0)
      return None
    count = int(self.state['validations'].assign_add(1))
    if count < self._patience:
      return None
    best, step = float(self.state['best']), int(self.state['best_step'])
    return (
        f'{count} validation(s) without a better {self._monitor.metric} than '
        f'{best:.4g} at step {step}'
    )


class MaxMinutes:
  """Stops a run after a total time, summed over all its starts."""

  state: dict[str, tf.Variable]

  def __init__(
      self, minutes: float, strategy: tf.distribute.Strategy, started: float
  ):
    """Sets the limit, and when this start began on the monotonic clock."""
    self._minutes = minutes
    self._strategy = strategy
    self._last = started

  def init(self) -> dict[str, Any]:
    """Returns the state before the first start."""
    return {'seconds': 0.0}

  def next(self, step: int) -> int:
    """Returns the step itself: the clock is checked after each call."""
    return step

  def __call__(self, step: int, values: Mapping[str, float]) -> str | None:
    """Checks the clock; all workers agree on the time."""
    now = time.monotonic()
    passed = workers.gather(self._strategy, [round((now - self._last) * 1e9)])
    self._last = now
    mean = statistics.fmean(nanoseconds for (nanoseconds,) in passed) / 1e9
    seconds = float(self.state['seconds'].assign_add(mean))
    if seconds < 60 * self._minutes:
      return None
    return f'{seconds / 60:.2f} minutes are over, of {self._minutes:g}'
