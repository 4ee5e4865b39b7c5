"""Checks which of the other workers still answer."""

from __future__ import annotations

import concurrent.futures
import contextlib
import socket
import time

from . import lines
from . import members as members_lib

# The preface of an HTTP/2 connection, which TensorFlow's servers answer with
# their settings. For a stopped process the kernel still accepts connections,
# but no answer comes.
_HELLO = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0'
_SETTINGS = 4
ANSWER_SECS = 3.0


def gone(members: members_lib.Members) -> list[int]:
  """Returns the places of the other workers that do not answer."""
  if not members.others:
    return []
  with concurrent.futures.ThreadPoolExecutor(len(members.others)) as pool:
    answers = pool.map(
        lambda place: answers_at(members.addresses[place]), members.others
    )
    return [
        place
        for place, is_there in zip(members.others, answers, strict=True)
        if not is_there
    ]


def answers_at(address: str, within_s: float = ANSWER_SECS) -> bool:
  """Returns whether a TensorFlow server answers at HOST:PORT."""
  deadline = time.monotonic() + within_s
  with (
      contextlib.suppress(OSError),
      socket.create_connection(lines.split(address), within_s) as server,
  ):
    server.sendall(_HELLO)
    received = b''
    while len(received) < 4:
      server.settimeout(max(deadline - time.monotonic(), 0.01))
      data = server.recv(2**10)
      if not data:
        return False
      received += data
    return received[3] == _SETTINGS
  return False
