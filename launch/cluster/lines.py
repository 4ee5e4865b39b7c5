"""Lines of JSON over TCP, by which workers agree before TensorFlow loads."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import programs
from . import members as members_lib

MAX_BYTES = 2**24  # Of a line.
_PROTOCOL = 'quatrain 1'
# Whoever is silent for so long is gone.
PATIENCE_SECS = 20.0
# What just ended may still hold the port.
PORT_SECS = 5.0


def heard(
    address: str, hello: bytes, check: Callable[[], None]
) -> Iterator[dict[str, Any]]:
  """Yields what the worker at an address tells, until the connection ends.

  Args:
    address: Its address.
    hello: What it is told first, a line.
    check: Is called while nothing comes; what it raises ends this.

  Yields:
    The values of each line.

  Raises:
    OSError: If there is none, or nothing comes.
  """
  with socket.create_connection(split(address), timeout=2.0) as connection:
    # A port may be connected to itself while nobody listens there.
    if connection.getsockname() == connection.getpeername():
      return
    connection.sendall(hello)
    connection.settimeout(0.5)
    received, last = b'', time.monotonic()
    while time.monotonic() - last < PATIENCE_SECS:
      check()
      try:
        data = connection.recv(2**16)
      except TimeoutError:
        continue
      if not data:
        return
      last = time.monotonic()
      *lines, received = (received + data).split(b'\n')
      for line in lines:
        decoded = decode(line)
        if not decoded:
          return  # Another program listens there.
        yield decoded
      if len(received) > MAX_BYTES:
        return


def listen(members: members_lib.Members) -> socket.socket:
  """Takes the port that TensorFlow is going to listen at.

  Args:
    members: The workers, of which this process is one.

  Returns:
    A socket that listens there.

  Raises:
    UserError: If the port cannot be taken.
  """
  own = members.name(members.index)
  _, port = split(members.addresses[members.index])
  is_dual = socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if is_dual else socket.AF_INET
  deadline = time.monotonic() + PORT_SECS
  while True:
    try:
      return socket.create_server(
          ('', port), family=family, dualstack_ipv6=is_dual, backlog=1024
      )
    except OSError as error:
      if error.errno != errno.EADDRINUSE:
        raise programs.UserError(
            f'{own}: port {port}: {programs.reason(error)}.'
        ) from None
      if time.monotonic() > deadline:
        raise programs.UserError(
            f'{own}: port {port} is in use on this machine, by another program '
            'or a second worker of this index; end that, or name another port.'
        ) from None
    time.sleep(0.1)


def split(address: str) -> tuple[str, int]:
  """Splits HOST:PORT; an IPv6 address is in brackets."""
  host, _, port = address.rpartition(':')
  return host.strip('[]'), int(port)


def encode(values: Mapping[str, Any]) -> bytes:
  """Returns values as a line."""
  return json.dumps({'protocol': _PROTOCOL, **values}).encode() + b'\n'


def decode(line: bytes) -> dict[str, Any]:
  """Returns what a line says; nothing if no program of ours wrote it."""
  try:
    values = json.loads(line)
  except (ValueError, RecursionError):
    return {}
  is_ours = isinstance(values, dict) and values.get('protocol') == _PROTOCOL
  return values if is_ours else {}
