"""The progress line, live in a terminal or a notebook.

The epoch shown is that of the last step taken.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from .. import loop
from ..training import periods

PLAIN_EVERY_SECS = 5.0
# The package that provides standard output in notebooks.
_NOTEBOOK = 'ipykernel'
# Names of the parts of the line; they differ from those of metrics.
_BEST, _RATE, _ETA = ' best', ' rate', ' eta'


class Progress(loop.Hook):
  """Shows epoch, step, loss, metrics, speed, and the remaining time."""

  name = 'progress'

  def __init__(
      self,
      at: periods.Periods,
      global_batch_size: int,
      speed: Callable[[], float],
      hook_seconds: Callable[[], float] = lambda: 0.0,
      best: Callable[[], tuple[str, float] | None] = lambda: None,
      silent: bool = False,
      stream: TextIO | None = None,
  ):
    """Starts the clock.

    Args:
      at: The length of an epoch and of the run.
      global_batch_size: The number of examples per step.
      speed: Returns the current steps per second, 0 while unknown.
      hook_seconds: Returns the time spent in validations and other hooks.
      best: Returns the name and the best value of the validations so far.
      silent: Whether to show nothing, as on all workers but the chief.
      stream: Where to write. Default: standard output.
    """
    self._stream = stream or sys.stdout
    kind = type(self._stream).__module__.partition('.')[0]
    self._is_live = self._stream.isatty() or kind == _NOTEBOOK
    self._is_silent = silent
    self._at = at
    self._batch_size = global_batch_size
    self._speed = speed
    self._hook_seconds = hook_seconds
    self._epoch = 0
    # Taken after the first epoch of this start, which traces evaluation.
    self._first: tuple[int, float] | None = None
    self._seconds_between = 0.0  # Time in hooks, per step.
    self._best = best
    self._shown_at = time.monotonic()
    self._width = 0

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Updates the line, if it is time.

    Args:
      step: The number of steps taken so far.
      values: Current values by name, such as the loss.
    """
    if self._is_silent:
      return
    epoch, num_epochs = (
        max(1, -(-steps // self._at.steps_per_epoch))
        for steps in (step, self._at.num_steps)
    )
    self._time_hooks(step, epoch)
    now = time.monotonic()
    if not self._is_live and now - self._shown_at < PLAIN_EVERY_SECS:
      return
    self._shown_at = now
    parts = {
        'epoch': f'epoch {epoch}/{num_epochs}',
        'step': f'step {step}/{self._at.num_steps}',
        **{name: f'{name} {value:.4f}' for name, value in values.items()},
    }
    if self._is_live and (best := self._best()):
      parts[_BEST] = f'best {best[0]} {best[1]:.4f}'
    if rate := self._speed():
      left = self._at.num_steps - step
      seconds = left * (1 / rate + self._seconds_between)
      parts[_RATE] = f'{rate * self._batch_size:,.0f} examples/s'
      parts[_ETA] = f'ETA {duration(seconds)}'
    self._write(parts)

  def _time_hooks(self, step: int, epoch: int) -> None:
    """Averages the time of hooks over whole epochs, without the slow first."""
    if epoch == self._epoch:
      return
    seconds = self._hook_seconds()
    if self._first:
      first, before = self._first
      self._seconds_between = (seconds - before) / (step - first)
    elif self._epoch:
      self._first = step, seconds
    self._epoch = epoch

  def close(self) -> None:
    """Clears a live line."""
    self.clear()

  def above(self, say: Callable[[str], None]) -> Callable[[str], None]:
    """Returns a function that prints a message above a live line."""

    def say_above(message: str) -> None:
      self.clear()
      say(message)

    return say_above

  def clear(self) -> None:
    """Clears a live line before something else is printed."""
    if self._is_live and self._width:
      self._stream.write('\r' + ' ' * self._width + '\r')
      self._stream.flush()
      self._width = 0

  def _columns(self) -> int:
    """Returns the width of the terminal."""
    if not self._stream.isatty():
      return 80
    # A terminal that does not know its width reports 0.
    return os.get_terminal_size(self._stream.fileno()).columns or 80

  def _write(self, parts: dict[str, str]) -> None:
    line = '  '.join(parts.values())
    if self._is_live:
      columns = self._columns()
      line = _fitting(parts, columns - 1)
      self._stream.write('\r' + line.ljust(self._width)[: columns - 1])
      self._width = len(line)
    else:
      self._stream.write(line + '\n')
    self._stream.flush()


def _fitting(parts: dict[str, str], width: int) -> str:
  """Joins the parts that fit; the step and the remaining time always stay."""
  metrics = [n for n in parts if n not in ('epoch', 'step', _BEST, _RATE, _ETA)]
  line = '  '.join(parts.values())
  for name in ('', 'epoch', _RATE, *metrics[:0:-1], _BEST, *metrics[:1]):
    if len(line) <= width:
      break
    parts = {key: part for key, part in parts.items() if key != name}
    line = ' '.join(parts.values())
  return line[:width]


def duration(seconds: float) -> str:
  """Formats seconds as h:mm:ss, or m:ss below an hour."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{minutes}:{seconds:02d}'
