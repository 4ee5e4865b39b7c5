"""SIGTERM and Ctrl-C as a request that a loop can look at."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
  """Remembers a signal, so that the step can be finished and saved first.

  A second signal of the same kind has its usual effect at once.

  Attributes:
    signal: The number of the signal that came, or 0.
  """

  def __init__(self) -> None:
    """Starts with no signal."""
    self.signal = 0
    self._previous: dict[int, Any] = {}

  def __enter__(self) -> Interruption:
    """Begins to catch the signals."""
    for number in SIGNALS:
      self._previous[number] = signal.signal(number, self._remember)
    return self

  def __exit__(self, *_: Any) -> None:
    """Gives the signals their former effect back."""
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def _remember(self, number: int, _: FrameType | None) -> None:
    self.signal = number
    signal.signal(number, self._previous[number])
