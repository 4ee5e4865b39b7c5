"""Warns about repeated compilation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from core import training

from .. import loop
from ..machine import compilation_cache
from ..training import data_loops


class Compilations(loop.Hook):
  """Warns, at the end of an epoch, about steps that were compiled again."""

  name = 'compilations'

  def __init__(self, now: loop.Now, count: Callable[[], int]):
    """Starts counting.

    Args:
      now: The progress of the run.
      count: Returns how many programs XLA has compiled in this process.
    """
    self._now = now
    self._count = count
    self._late = 0
    self._is_warm = False

  def watched(self, data_loop: data_loops.DataLoop) -> data_loops.DataLoop:
    """Wraps a data_loop; only its first call is expected to compile."""

    def watched(
        state: training.TrainState,
        sums: training.Sums,
        start: int,
        num_steps: int,
    ) -> tuple[training.Sums, tf.Tensor]:
      if not self._is_warm:
        compilation_cache.align_names()
      before = self._count()
      result = data_loop(state, sums, start, num_steps)
      self._late += (self._count() - before) * self._is_warm
      self._is_warm = True
      return result

    return watched

  def next(self, step: int) -> int:
    """Returns the end of the epoch."""
    return self._now.at.next_epochs(step)

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Warns about programs that were compiled since the last epoch."""
    if self._late:
      self._now.say(
          f'XLA compiled {self._late} more program(s) after the first step, '
          'seconds each: an operation has a shape that changes from step to '
          'step. --jit_compile=off avoids it.\n'
      )
    self._late = 0
