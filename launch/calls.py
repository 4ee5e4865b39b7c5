"""How many steps the graph takes before Python looks up again."""

from __future__ import annotations

import tensorflow as tf

from core import distribution

# How long the graph may run before Python looks at signals and the clock.
CALL_SECS = 0.5


class Calls:
  """Chooses how many steps a call of the loop takes, alike on all workers."""

  def __init__(self, strategy: tf.distribute.Strategy, largest: int | None):
    """Begins with one step.

    Args:
      strategy: The strategy of the run.
      largest: How many steps a call may take at most; None sets no limit.
    """
    self.size = 1
    self.seconds = 0.0  # In all calls so far, the mean over workers.
    self.is_warm = False  # The first call traces and compiles.
    self._strategy = strategy
    self._largest = largest or 2**31 - 1

  def agree(self, seconds: float, size: int, signal: int) -> bool:
    """Learns from a call; tells whether any worker was interrupted.

    Args:
      seconds: How long the call took here.
      size: How many steps it took.
      signal: The signal that came here, or 0.

    Returns:
      Whether all workers are to stop now.
    """
    seconds, signals = distribution.mean_over_workers(
        self._strategy, [seconds, float(signal > 0)]
    )
    self.seconds += seconds
    self.is_warm = True
    wanted = CALL_SECS * size / max(seconds, 1e-6)
    self.size = max(1, min(int(wanted), 2 * self.size, self._largest))
    return signals > 0
