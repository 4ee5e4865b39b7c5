"""The line that tells how far a run is, live where there is a terminal.

The epoch is that of the step taken last: its last step is still in it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

PLAIN_EVERY_SECS = 5.0


class Progress:
  """Shows epoch, step, loss, accuracy, images/s and the time that is left."""

  def __init__(
      self,
      num_steps: int,
      steps_per_epoch: int,
      global_batch_size: int,
      silent: bool = False,
      stream: TextIO | None = None,
  ):
    """Starts the clock.

    Args:
      num_steps: The number of steps of the run.
      steps_per_epoch: The number of steps of an epoch.
      global_batch_size: The number of images of a step.
      silent: Whether to show nothing, as on all workers but the chief.
      stream: Where to write, by default the standard output.
    """
    self._stream = stream or sys.stdout
    self._is_live = self._stream.isatty()
    self._is_silent = silent
    self._num_steps = num_steps
    self._steps_per_epoch = steps_per_epoch
    self._batch_size = global_batch_size
    self._meter = Meter()
    self._shown_at = time.monotonic()
    self._width = 0

  def __enter__(self) -> Progress:
    """Does nothing; the first update shows the line."""
    return self

  def __exit__(self, *_: Any) -> None:
    """Wipes a live line."""
    self.clear()

  def update(self, step: int, values: Mapping[str, float]) -> float:
    """Tells that steps were taken, and shows it when it is time.

    Args:
      step: The number of steps taken so far.
      values: Current values by name, such as the loss.

    Returns:
      The current steps per second, 0 until it is known.
    """
    rate = self._meter.update(step)
    now = time.monotonic()
    if self._is_silent or (
        not self._is_live and now - self._shown_at < PLAIN_EVERY_SECS
    ):
      return rate
    self._shown_at = now
    epoch, num_epochs = (
        max(1, -(-steps // self._steps_per_epoch))
        for steps in (step, self._num_steps)
    )
    parts = [
        f'epoch {epoch}/{num_epochs}',
        f'step {step}/{self._num_steps}',
        *(f'{name} {value:.4f}' for name, value in values.items()),
    ]
    if rate:
      parts += [
          f'{rate * self._batch_size:,.0f} images/s',
          f'ETA {duration((self._num_steps - step) / rate)}',
      ]
    self._write(parts)
    return rate

  def pause(self) -> None:
    """Leaves the time until `resume` out of the speed, as for a validation."""
    self.clear()
    self._meter.pause()

  def resume(self) -> None:
    """Ends a `pause`."""
    self._meter.resume()

  def clear(self) -> None:
    """Wipes a live line, before something else is printed."""
    if self._is_live and self._width:
      self._stream.write('\r' + ' ' * self._width + '\r')
      self._stream.flush()
      self._width = 0

  def _write(self, parts: list[str]) -> None:
    line = '  '.join(parts)
    if self._is_live:
      # A terminal may not know its width, and says 0.
      columns = os.get_terminal_size(self._stream.fileno()).columns or 80
      # Where it is narrow, the epoch goes first, and what is last of the rest.
      shorter = (line, ' '.join(parts), ' '.join(parts[1:]))
      line = next((s for s in shorter if len(s) < columns), shorter[-1])
      line = line[: columns - 1]
      self._stream.write('\r' + line.ljust(self._width)[: columns - 1])
      self._width = len(line)
    else:
      self._stream.write(line + '\n')
    self._stream.flush()


class Meter:
  """Measures steps per second over the last few seconds of training.

  The first update starts the clock: what comes before it, the tracing of the
  step, is no training.
  """

  WINDOW_SECS = 20.0

  def __init__(self) -> None:
    """Starts with nothing measured."""
    self._points: list[tuple[float, int]] = []
    self._paused_at = 0.0

  def update(self, step: int) -> float:
    """Tells that steps were taken; returns steps per second, 0 at first."""
    now = time.monotonic()
    self._points.append((now, step))
    while len(self._points) > 2 and now - self._points[1][0] > self.WINDOW_SECS:
      self._points.pop(0)
    (start, first), (end, last) = self._points[0], self._points[-1]
    return (last - first) / (end - start) if end > start else 0.0

  def pause(self) -> None:
    """Stops the clock."""
    self._paused_at = time.monotonic()

  def resume(self) -> None:
    """Starts the clock again."""
    lost = time.monotonic() - self._paused_at
    self._points = [(at + lost, step) for at, step in self._points]


def duration(seconds: float) -> str:
  """Formats seconds as h:mm:ss, or m:ss below an hour."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{minutes}:{seconds:02d}'
