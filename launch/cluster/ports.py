"""Free ports of this machine for workers."""

from __future__ import annotations

import contextlib
import random
import socket

# Outgoing connections use ports from 32768 on.
_PORTS = range(20000, 32768)


def free(number: int) -> list[int]:
  """Returns `number` different ports at which no program listens."""
  found: list[int] = []
  with contextlib.ExitStack() as stack:
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
      if len(found) == number:
        break
      tried = stack.enter_context(socket.socket())
      with contextlib.suppress(OSError):
        tried.bind(('', port))
        found.append(port)
  return found
