"""The line that tells how far a run is, live in a terminal or a notebook.

The epoch is that of the step taken last: its last step is still in it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from .. import loop, periods

PLAIN_EVERY_SECS = 5.0
# The package of what is the standard output there.
_NOTEBOOK = 'ipykernel'


class Progress(loop.Hook):
  """Shows epoch, step, loss, metrics, examples/s and the time that is left."""

  name = 'progress'

  def __init__(
      self,
      at: periods.Periods,
      global_batch_size: int,
      speed: Callable[[], float],
      silent: bool = False,
      stream: TextIO | None = None,
  ):
    """Starts the clock.

    Args:
      at: The length of an epoch and of the run.
      global_batch_size: The number of examples of a step.
      speed: Returns the current steps per second, 0 until it is known.
      silent: Whether to show nothing, as on all workers but the chief.
      stream: Where to write, by default the standard output.
    """
    self._stream = stream or sys.stdout
    kind = type(self._stream).__module__.partition('.')[0]
    self._is_live = self._stream.isatty() or kind == _NOTEBOOK
    self._is_silent = silent
    self._at = at
    self._batch_size = global_batch_size
    self._speed = speed
    self._shown_at = time.monotonic()
    self._width = 0

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Shows it, when it is time.

    Args:
      step: The number of steps taken so far.
      values: Current values by name, such as the loss.
    """
    now = time.monotonic()
    if self._is_silent or (
        not self._is_live and now - self._shown_at < PLAIN_EVERY_SECS
    ):
      return
    self._shown_at = now
    epoch, num_epochs = (
        max(1, -(-steps // self._at.steps_per_epoch))
        for steps in (step, self._at.num_steps)
    )
    parts = [
        f'epoch {epoch}/{num_epochs}',
        f'step {step}/{self._at.num_steps}',
        *(f'{name} {value:.4f}' for name, value in values.items()),
    ]
    if rate := self._speed():
      parts += [
          f'{rate * self._batch_size:,.0f} examples/s',
          f'ETA {duration((self._at.num_steps - step) / rate)}',
      ]
    self._write(parts)

  def close(self) -> None:
    """Wipes a live line."""
    self.clear()

  def above(self, say: Callable[[str], None]) -> Callable[[str], None]:
    """Returns a function that prints something where a live line was."""

    def say_above(message: str) -> None:
      self.clear()
      say(message)

    return say_above

  def clear(self) -> None:
    """Wipes a live line, before something else is printed."""
    if self._is_live and self._width:
      self._stream.write('\r' + ' ' * self._width + '\r')
      self._stream.flush()
      self._width = 0

  def _columns(self) -> int:
    """Returns the width of the line."""
    if not self._stream.isatty():
      return 80
    # A terminal may not know its width, and says 0.
    return os.get_terminal_size(self._stream.fileno()).columns or 80

  def _write(self, parts: list[str]) -> None:
    line = '  '.join(parts)
    if self._is_live:
      columns = self._columns()
      # Where it is narrow, the epoch goes first, and what is last of the rest.
      shorter = (line, ' '.join(parts), ' '.join(parts[1:]))
      line = next((s for s in shorter if len(s) < columns), shorter[-1])
      line = line[: columns - 1]
      self._stream.write('\r' + line.ljust(self._width)[: columns - 1])
      self._width = len(line)
    else:
      self._stream.write(line + '\n')
    self._stream.flush()


def duration(seconds: float) -> str:
  """Formats seconds as h:mm:ss, or m:ss below an hour."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{minutes}:{seconds:02d}'
