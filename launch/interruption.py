"""Handles the signals that ask a program to exit: SIGTERM, SIGINT, SIGHUP.

During training, the loop checks for them. At all other times they end the
program, with a one-line message and exit code 128 + their number.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SIGACTION_BYTES = 1024  # More than a `struct sigaction` has anywhere.
# Slurm sends SIGTERM twice within milliseconds to preempt a job, and so does a
# launcher that is told along with its workers.
_SAME_SECS = 1.0


class Interrupted(KeyboardInterrupt):
  """A signal was received.

  Attributes:
    number: The number of the signal.
  """

  def __init__(
      self, number: int, what_next: str = 'give the same command again'
  ):
    """Sets the message: the signal, and what the user can do next."""
    name = signal.Signals(number).name
    super().__init__(f'interrupted by {name}; {what_next}')
    self.number = number


class InEvaluation(Interrupted):
  """A signal was received during an evaluation; all workers stopped there."""


class Saved(Interrupted):
  """A signal was received in training, and the progress is saved."""


class Interruption:
  """Remembers a signal, so that the step can be finished and saved first.

  A second signal of the same kind has its usual effect immediately; SIGTERM
  only a second after the first.

  Attributes:
    signal: The number of the received signal, or 0.
  """

  def __init__(self) -> None:
    """Starts with no signal."""
    self.signal = 0
    self._came_at = 0.0
    self._previous: dict[int, Any] = {}

  def __enter__(self) -> Interruption:
    """Installs the handlers, if this is the main thread."""
    _active.append(self)
    for number in _caught():
      self._previous[number] = signal.signal(number, self._remember)
    return self

  def __exit__(self, *_: Any) -> None:
    """Restores the previous handlers."""
    _active.remove(self)
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def _remember(self, number: int, _: FrameType | None) -> None:
    is_first, self.signal = self.signal != number, number
    if number != signal.SIGTERM:
      signal.signal(number, self._previous[number])
    elif is_first:
      self._came_at = time.monotonic()
    elif time.monotonic() - self._came_at >= _SAME_SECS:
      signal.signal(number, self._previous[number])
      signal.raise_signal(number)


_active: list[Interruption] = []


@contextlib.contextmanager
def remembering() -> Iterator[Interruption]:
  """Remembers signals during a block; nested blocks share one object.

  If the block does not raise, a remembered signal takes effect at its end.

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
  """Makes signals end the process immediately, with a one-line message.

  This is for the start of a program, when there is nothing to clean up.
  """

  def leave(number: int, _: FrameType | None) -> None:
    os.write(2, f'launch: {Interrupted(number)}.\n'.encode())
    os._exit(128 + number)

  for number in _caught():
    signal.signal(number, leave)


@contextlib.contextmanager
def withheld() -> Iterator[None]:
  """Blocks signals during a block, also for threads that start in it.

  This is for calls that install their own handlers, as TensorFlow does for
  SIGTERM when it connects workers. At the end of the block, the previous
  handlers are restored, and pending signals are delivered.
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
  """Makes the first signal of each kind raise Interrupted in a block.

  A second signal of the same kind has its usual effect immediately.

  Raises:
    Interrupted: If a signal is received.
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
      # During the import of a C module, it may become another error.
      raise Interrupted(came) from error


@contextlib.contextmanager
def handling(
    handler: Callable[[int, FrameType | None], None],
) -> Iterator[None]:
  """Installs a handler for signals during a block.

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
  """Returns the signals to catch; under nohup, SIGHUP stays ignored."""
  if threading.current_thread() is not threading.main_thread():
    return []
  is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
  return [
      number
      for number in SIGNALS
      if not (number == signal.SIGHUP and is_ignored)
  ]
