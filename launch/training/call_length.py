"""Chooses the number of steps per call of the graph, and measures the speed."""

from __future__ import annotations

import collections

import tensorflow as tf

from core import workers

# How long the graph may run before Python checks signals and the clock.
CALL_SECS = 0.5
# The duration over which the current speed is measured.
WINDOW_SECS = 20.0


class CallLength:
  """Chooses the number of steps per call, which is the same on all workers.

  Attributes:
    size: The number of steps of the next call.
    strategy: The strategy of the run.
    is_alone: Whether there is no other worker.
    last_seconds: How long the last call took, as a mean over workers.
    is_warm: Whether the first call, which traces and compiles, is over.
    timed_seconds: How long all calls after the first took.
    timed_steps: The number of steps of these calls.
  """

  def __init__(
      self, strategy: tf.distribute.Strategy, largest: int | None = None
  ):
    """Starts with one step per call.

    Args:
      strategy: The strategy of the run.
      largest: The maximum number of steps per call. Default: no limit.
    """
    self.size = 1
    self.strategy = strategy
    self.is_alone = not isinstance(
        strategy, tf.distribute.MultiWorkerMirroredStrategy
    )
    self.last_seconds = 0.0
    self.is_warm = False
    self.timed_seconds = 0.0
    self.timed_steps = 0
    self._largest = largest or 2**31 - 1
    self._recent: collections.deque[tuple[float, int]] = collections.deque()
    self._seconds = 0.0  # Of the recent calls together.
    self._steps = 0

  def agree(self, seconds: float, size: int, signal: int) -> int:
    """Updates `size` after a call, and shares signals between workers.

    Args:
      seconds: How long the call took on this worker.
      size: The number of steps of the call.
      signal: The signal that this worker received, or 0.

    Returns:
      The number of a signal that any worker received, or 0. All workers must
      then stop.
    """
    rows = workers.gather(self.strategy, [round(seconds * 1e9), signal])
    seconds = sum(nanoseconds for nanoseconds, _ in rows) / len(rows) / 1e9
    self.last_seconds = seconds
    if self.is_warm:
      self._time(seconds, size)
    self.is_warm = True
    wanted = CALL_SECS * size / max(seconds, 1e-6)
    self.size = max(1, min(int(wanted), 2 * self.size, self._largest))
    return max(number for _, number in rows)

  def speed(self) -> float:
    """Returns steps per second over the last calls; 0 if not yet known."""
    return self._steps / self._seconds if self._recent else 0.0

  def _time(self, seconds: float, size: int) -> None:
    self.timed_seconds += seconds
    self.timed_steps += size
    self._recent.append((seconds, size))
    self._seconds += seconds
    self._steps += size
    while len(self._recent) > 1 and self._seconds > WINDOW_SECS:
      seconds, size = self._recent.popleft()
      self._seconds -= seconds
      self._steps -= size
