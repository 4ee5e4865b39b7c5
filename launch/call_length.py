"""How many steps the graph takes before Python looks up again, and how fast."""

from __future__ import annotations

import collections

import tensorflow as tf

from core import workers

# How long the graph may run before Python looks at signals and the clock.
CALL_SECS = 0.5
# What the current speed is measured over.
WINDOW_SECS = 20.0


class CallLength:
  """Chooses how many steps a call of the loop takes, alike on all workers.

  Attributes:
    size: How many steps the next call takes.
    strategy: The strategy of the run.
    is_alone: Whether there is no other worker.
    last_seconds: How long the last call took, the mean over workers.
    is_warm: Whether there was a call: the first one traces and compiles.
    timed_seconds: How long all calls took but the first.
    timed_steps: How many steps they took.
  """

  def __init__(
      self, strategy: tf.distribute.Strategy, largest: int | None = None
  ):
    """Begins with one step.

    Args:
      strategy: The strategy of the run.
      largest: How many steps a call may take at most. Default: no limit.
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
    """Learns from a call; returns the signal that came to any worker.

    Args:
      seconds: How long the call took here.
      size: How many steps it took.
      signal: The signal that came here, or 0.

    Returns:
      The number of a signal after which all workers are to stop now, or 0.
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
    """Returns steps per second in the last calls; 0 until it is known."""
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
