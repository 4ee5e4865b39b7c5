"""JSON lines over TCP, by which workers agree before TensorFlow loads."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import programs
from . import members as members_lib

MAX_BYTES = 2**24  # Maximum length of a line.
_PROTOCOL = 'quatrain 1'
# A connection that is silent for this long is lost.
PATIENCE_SECS = 20.0
# A process that has just ended may still hold the port.
PORT_SECS = 5.0


def heard(
    address: str, hello: bytes, check: Callable[[], None]
) -> Iterator[dict[str, Any]]:
  """Yields the messages of the worker at an address, until it disconnects.

  Args:
    address: Its address.
    hello: The first line to send.
    check: Called while no message arrives; may raise to stop.

  Yields:
    The values of each line.

  Raises:
    OSError: If the connection fails or stays silent.
  """
  with socket.create_connection(split(address), timeout=2.0) as connection:
    # TCP can connect a port to itself while no program listens there.
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
  """Listens at the port that TensorFlow is going to use.

  Args:
    members: The workers.

  Returns:
    The listening socket.

  Raises:
    UserError: If the port is not available.
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
  """Splits HOST:PORT; IPv6 addresses are in brackets."""
  host, _, port = address.rpartition(':')
  return host.strip('[]'), int(port)


def encode(values: Mapping[str, Any]) -> bytes:
  """Encodes values as a line."""
  return json.dumps({'protocol': _PROTOCOL, **values}).encode() + b'\n'


def decode(line: bytes) -> dict[str, Any]:
  """Decodes a line; returns an empty dict if it is not one of ours."""
  try:
    values = json.loads(line)
  except (ValueError, RecursionError):
    return {}
  is_ours = isinstance(values, dict) and values.get('protocol') == _PROTOCOL
  return values if is_ours else {}
