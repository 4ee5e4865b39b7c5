"""Whether this process waits for others, and since when.

What ends only once every worker has come to it, such as a sum over replicas, is
called in a block of `waiting`. Somebody else may look at `now` from another
thread, and do something about a wait that takes too long.
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

  Its end is a sign of life of all of them: a block around it begins anew then.

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
  """Returns whether this process is in such a block, and for how long.

  Returns:
    Whether it is, and the seconds since a block began or ended last.

  Example:
    >>> from core import waits
    >>> with waits.waiting():
    ...   is_waiting, seconds = waits.now()
    >>> is_waiting, seconds < 60.0
    (True, True)
  """
  return _state.depth > 0, time.monotonic() - _state.changed
