"""Records whether this process is waiting for others, and since when.

Operations that end only when all workers have reached them, such as sums over
replicas, run inside a block of `waiting`. Another thread can poll `now` to
handle waits that take too long.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator


@dataclasses.dataclass
class _State:
  depth: int = 0
  changed: float = dataclasses.field(default_factory=time.monotonic)


_state = _State()


@contextlib.contextmanager
def waiting() -> Iterator[None]:
  """Marks a block that may wait for other workers.

  The end of a block shows that all workers are alive, so it restarts the time
  of an enclosing block.

  Yields:
    Nothing.
  """
  _change(1)
  try:
    yield
  finally:
    _change(-1)


def _change(by: int) -> None:
  _state.changed = time.monotonic()
  _state.depth += by


def now() -> tuple[bool, float]:
  """Returns whether this process is inside such a block, and for how long.

  Returns:
    Whether it is, and the seconds since a block last began or ended.

  Example:
    >>> from core import waits
    >>> with waits.waiting():
    ...   is_waiting, seconds = waits.now()
    >>> is_waiting, seconds < 60.0
    (True, True)
  """
  return _state.depth > 0, time.monotonic() - _state.changed
