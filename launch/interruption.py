"""Signals that ask a program to leave: SIGTERM, Ctrl-C, SIGHUP.

While a run trains they are a request that its loop can look at; at all other
times they end the program, with one line and 128 + their number.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SIGACTION_BYTES = 1024  # More than a `struct sigaction` has anywhere.


class Interrupted(KeyboardInterrupt):
  """A signal came.

  Attributes:
    number: The number of the signal.
  """

  def __init__(
      self, number: int, what_next: str = 'give the same command again'
  ):
    """Names the signal, and what there is to do."""
    name = signal.Signals(number).name
    super().__init__(f'interrupted by {name}; {what_next}')
    self.number = number


class InEvaluation(Interrupted):
  """A signal came while a split was scored; all workers left off there."""


class Saved(Interrupted):
  """A signal came in training, and what was trained is saved."""


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
    """Begins to catch the signals, which the main thread alone can."""
    _active.append(self)
    for number in _caught():
      self._previous[number] = signal.signal(number, self._remember)
    return self

  def __exit__(self, *_: Any) -> None:
    """Gives the signals their former effect back."""
    _active.remove(self)
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def _remember(self, number: int, _: FrameType | None) -> None:
    self.signal = number
    signal.signal(number, self._previous[number])


_active: list[Interruption] = []


@contextlib.contextmanager
def remembering() -> Iterator[Interruption]:
  """Remembers signals for a block; one inside another joins it.

  A signal that did not make the block raise has its usual effect at the end.

  Yields:
    The interruption that remembers them.
  """
  if _active:
    yield _active[-1]
    return
  with Interruption() as interrupted:
    yield interrupted
  if interrupted.signal:
    signal.raise_signal(interrupted.signal)


def leave_at_once() -> None:
  """Has signals end the process from now on, with one line and their code.

  For the time before a program is on, when there is nothing to clean up.
  """

  def leave(number: int, _: FrameType | None) -> None:
    os.write(2, f'launch: {Interrupted(number)}.\n'.encode())
    os._exit(128 + number)

  for number in _caught():
    signal.signal(number, leave)


@contextlib.contextmanager
def withheld() -> Iterator[None]:
  """Keeps signals from a block, and from the threads that begin in it.

  For calls that would take them: TensorFlow sets a handler of its own for
  SIGTERM when it joins workers. At the end of the block signals have their
  former handlers, and those that came meanwhile come.
  """
  sigaction = ctypes.CDLL(None).sigaction
  before = {}
  for number in SIGNALS:
    before[number] = ctypes.create_string_buffer(_SIGACTION_BYTES)
    sigaction(int(number), None, before[number])
  mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
  try:
    yield
  finally:
    for number, handler in before.items():
      sigaction(int(number), handler, None)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def leaving() -> Iterator[None]:
  """Has signals end a block: the first of each kind raises Interrupted.

  A second one of the kind has its usual effect at once.

  Raises:
    Interrupted: If a signal comes.
  """
  came = 0

  def leave(number: int, _: FrameType | None) -> None:
    nonlocal came
    came = number
    signal.signal(number, signal.SIG_DFL)
    raise Interrupted(number)

  with handling(leave):
    try:
      yield
    except Exception as error:
      if not came:
        raise
      # A module of C that is being imported makes another error of it.
      raise Interrupted(came) from error


@contextlib.contextmanager
def handling(
    handler: Callable[[int, FrameType | None], None],
) -> Iterator[None]:
  """Calls a handler for the signals that come in a block.

  Args:
    handler: The handler, as `signal.signal` takes it.
  """
  previous: dict[int, Any] = {}
  try:
    for number in _caught():
      previous[number] = signal.signal(number, handler)
    yield
  finally:
    for each, before in previous.items():
      signal.signal(each, before)


def _caught() -> list[signal.Signals]:
  """Lists the signals to catch: under nohup, SIGHUP stays ignored."""
  if threading.current_thread() is not threading.main_thread():
    return []
  is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
  return [
      number
      for number in SIGNALS
      if not (number == signal.SIGHUP and is_ignored)
  ]
