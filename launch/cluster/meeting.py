"""Lets workers meet before TensorFlow connects them.

TensorFlow waits silently for an hour for a missing worker, and hangs or
computes wrong results if workers differ. So each worker first reports to worker
0, at the address that TensorFlow will use, who it is and what it is about to
do. Once all have arrived, worker 0 sends everyone all reports.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from .. import programs
from . import lines
from . import members as members_lib

Told = dict[str, Any]
"""What a worker reports about itself: JSON values by name."""

# Delay of the first message, and the period at which worker 0 names absentees.
SAY_AFTER_SECS = 5.0
_TELL_EVERY_SECS = 1.0
# Any program can connect. A worker dropped as a stranger connects again.
_MAX_STRANGERS = 64
_MAX_HELLO_BYTES = 2**20


def meet(
    members: members_lib.Members,
    told: Told,
    *,
    timeout_s: float,
    say: Callable[[str], None] = programs.note,
) -> list[Told]:
  """Waits until all workers have arrived.

  Args:
    members: The workers.
    told: The report of this worker.
    timeout_s: How long to wait for the others.
    say: Prints which workers are missing, if that takes a while.

  Returns:
    The report of each worker, in their order.

  Raises:
    UserError: If the port is in use, or another process is the same worker.
    Failure: If workers are missing when time is up.
  """
  waiting = _Waiting(members, timeout_s, say)
  with contextlib.closing(lines.listen(members)) as listener:
    if members.index == 0:
      return _Host(members, told, waiting).run(listener)
    return _visit(members, told, waiting)


class _Waiting:
  """Reports which workers are missing, and enforces the time limit."""

  def __init__(
      self,
      members: members_lib.Members,
      timeout_s: float,
      say: Callable[[str], None],
  ):
    self._members = members
    self._timeout_s = timeout_s
    self._say = say
    self._started = time.monotonic()
    self._said: list[int] = []
    self.missing: list[int] = members.others if not members.index else [0]

  def check(self) -> None:
    """Reports missing workers, if they have changed.

    Raises:
      Failure: If time is up.
    """
    members, passed = self._members, time.monotonic() - self._started
    own, names = members.name(members.index), members.names(self.missing)
    if passed > self._timeout_s:
      raise programs.Failure(
          f'{own} has waited {self._timeout_s:g} s for {names}: start all '
          'workers together, or increase --start_timeout.'
      )
    if passed > SAY_AFTER_SECS and self._said != self.missing:
      self._said = list(self.missing)
      self._say(f'{own} waits for {names}.')


class _Host:
  """Worker 0, to which the others connect."""

  def __init__(
      self, members: members_lib.Members, told: Told, waiting: _Waiting
  ):
    self._members = members
    self._waiting = waiting
    self._told: dict[int, Told] = {0: told}
    self._visitors: dict[int, socket.socket] = {}
    self._received: dict[socket.socket, bytes] = {}  # Oldest first.
    self._selector = selectors.DefaultSelector()

  def run(self, listener: socket.socket) -> list[Told]:
    """Receives the reports of all workers, and sends them to each."""
    listener.setblocking(False)
    self._selector.register(listener, selectors.EVENT_READ)
    next_tell = 0.0
    try:
      while len(self._told) < self._members.size:
        self._waiting.missing = [
            place for place in self._members.others if place not in self._told
        ]
        self._waiting.check()
        if time.monotonic() >= next_tell:
          self._tell(missing=self._waiting.missing)
          next_tell = time.monotonic() + _TELL_EVERY_SECS
        for key, _ in self._selector.select(timeout=0.2):
          if key.fileobj is listener:
            self._accept(listener)
          elif key.fileobj in self._received:
            assert isinstance(key.fileobj, socket.socket)
            self._receive(key.fileobj)
      everything = [self._told[i] for i in range(self._members.size)]
      self._tell(all=everything)
      return everything
    except programs.Failure as error:
      self._tell(failed=str(error))
      raise
    finally:
      self._selector.close()
      for visitor in list(self._received):
        visitor.close()

  def _accept(self, listener: socket.socket) -> None:
    """Accepts a visitor; drops the oldest stranger if there are too many."""
    known = self._visitors.values()
    strangers = [each for each in self._received if each not in known]
    if len(strangers) >= _MAX_STRANGERS:
      self._forget(strangers[0])
    try:
      visitor, _ = listener.accept()
    except OSError:  # It has already disconnected.
      return
    visitor.setblocking(False)
    self._received[visitor] = b''
    self._selector.register(visitor, selectors.EVENT_READ)

  def _receive(self, visitor: socket.socket) -> None:
    """Reads more; drops visitors that disconnect or are not workers."""
    try:
      data = visitor.recv(2**16)
    except BlockingIOError:
      return
    except OSError:
      data = b''
    received = self._received[visitor] + data
    self._received[visitor] = received
    if not data or len(received) > _MAX_HELLO_BYTES:
      self._forget(visitor)
    elif received.endswith(b'\n'):
      self._enter(visitor, lines.decode(received))

  def _enter(self, visitor: socket.socket, line: Mapping[str, Any]) -> None:
    """Registers a visitor as the worker that it claims to be."""
    ours = list(self._members.addresses)
    theirs, place, told = map(line.get, ('addresses', 'place', 'told'))
    if (
        not isinstance(theirs, list)
        or not isinstance(place, int)
        or not 0 <= place < len(theirs)
        or not isinstance(told, dict)
    ):
      self._forget(visitor)
      return
    reason = ''
    if theirs != ours:
      reason = (
          f'{self._members.name(0)} is one of the workers {", ".join(ours)}, '
          f'this process one of {", ".join(map(str, theirs))}'
      )
    elif place in self._visitors or place == 0:
      reason = f'{self._members.name(place)} has been started already'
    if reason:
      self._send(visitor, refused=reason)
      self._forget(visitor)
      return
    self._visitors[place] = visitor
    self._told[place] = told

  def _forget(self, visitor: socket.socket) -> None:
    for place, each in list(self._visitors.items()):
      if each is visitor:
        del self._visitors[place], self._told[place]
    del self._received[visitor]
    self._selector.unregister(visitor)
    visitor.close()

  def _tell(self, **values: Any) -> None:
    for visitor in list(self._visitors.values()):
      if not self._send(visitor, **values):
        self._forget(visitor)

  def _send(self, visitor: socket.socket, **values: Any) -> bool:
    """Sends values; returns whether that succeeded."""
    try:
      visitor.settimeout(lines.PATIENCE_SECS)
      visitor.sendall(lines.encode(values))
      visitor.setblocking(False)
      return True
    except OSError:
      return False


def _visit(
    members: members_lib.Members, told: Told, waiting: _Waiting
) -> list[Told]:
  """Reports to worker 0, and waits for the reports of all."""
  hello = lines.encode({
      'addresses': list(members.addresses),
      'place': members.index,
      'told': told,
  })
  while True:
    waiting.missing = [0]
    waiting.check()
    with contextlib.suppress(OSError):
      for line in lines.heard(members.addresses[0], hello, waiting.check):
        if 'refused' in line:
          raise programs.UserError(
              f'{members.name(members.index)}: {line["refused"]}.'
          )
        if 'failed' in line:
          raise programs.Failure(line['failed'])
        if 'all' in line:
          return line['all']
        waiting.missing = line['missing']
    time.sleep(0.2)
