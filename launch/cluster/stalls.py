"""Stops workers that wait too long for one that is alive but does not arrive.

TensorFlow notices workers that are dead or stopped, but not one that sleeps in
a hook or waits for data: its heartbeats continue, and collectives have no
timeout. So a thread of each worker measures how long the main thread has been
waiting. If that is too long, it tells the others by TensorFlow's coordination
service, and learns which of them wait as well: the rest hold up the run.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from types import FrameType

import tensorflow as tf
from tensorflow.python.eager import context as eager_context

from core import waits

from .. import programs
from . import members as members_lib

_KEY = 'quatrain/waits'
_ENDS = f'{_KEY}/ends'
# How long the others may take to find that they have waited as long.
_SETTLE_SECS = 5.0
# How long an aborted collective may take to raise an error.
_RAISE_SECS = 10.0
_MAX_TICK_SECS = 1.0
_TENSORFLOW = os.path.join(os.path.dirname(tf.__file__), '')
# Where TensorFlow calls Python from a graph, such as that of a data pipeline.
_CALLS = os.path.join(_TENSORFLOW, 'python', 'ops', 'script_ops.py')
_OF_OTHERS = tuple(
    os.path.join(sysconfig.get_path(name), '')
    for name in ('stdlib', 'purelib', 'platlib')
)


class Watch:
  """Measures how long the main thread of a worker waits.

  Attributes:
    message: Why the run cannot continue; empty while it can.
  """

  def __init__(self, members: members_lib.Members, timeout_s: float):
    """Watches the calling thread.

    Args:
      members: The workers.
      timeout_s: How long a worker may wait for the others.
    """
    self.message = ''
    self._members = members
    self._timeout_s = timeout_s
    self._watched = threading.get_ident()
    self._is_over = threading.Event()

  @contextlib.contextmanager
  def watching(self) -> Iterator[None]:
    """Watches a block; aborts its collectives, or else ends the process."""
    thread = threading.Thread(target=self._run, daemon=True)
    thread.start()
    try:
      yield
    finally:
      self._is_over.set()
      thread.join()

  def _run(self) -> None:
    tick = min(_MAX_TICK_SECS, self._timeout_s / 4)
    while not self._is_over.wait(tick):
      is_waiting, seconds = waits.now()
      if seconds < self._timeout_s / 2:  # Others may have waited longer.
        continue
      place = where(self._watched, tick)
      is_waiting &= not place
      is_over = is_waiting and seconds >= self._timeout_s
      # If no worker waits, all are equally slow.
      if not is_over and not self._told(_ENDS, tick):
        continue
      if is_waiting:
        message = f'has waited {seconds:.0f} s for {self._awaited()}'
      else:
        at = place or 'an operation of its own'
        message = f'keeps others waiting, after {seconds:.0f} s at {at}'
      own = self._members.name(self._members.index)
      self.message = (
          f'{own} {message}; fix that, or increase '
          '--collective_timeout, and start all workers again.'
      )
      # The stalled worker ends first: launchers blame the first to go.
      self._end(_RAISE_SECS if is_waiting else 0.0)
      return

  def _awaited(self) -> str:
    """Tells the others, and describes what this worker waits for."""
    members = self._members
    for key in (f'{_KEY}/{members.index}', _ENDS):
      with contextlib.suppress(tf.errors.OpError):  # Another was faster.
        eager_context.context().set_config_key_value(key, '1')
    deadline = time.monotonic() + _SETTLE_SECS
    late = [
        place
        for place in members.others
        if not self._told(
            f'{_KEY}/{place}', max(deadline - time.monotonic(), 0.1)
        )
    ]
    if late:
      return f'{members.names(late)}, alive but at something else'
    return (
        'a sum over all workers, as the others have: data that do not come, a '
        'network that hangs, or a step that takes longer'
    )

  def _told(self, key: str, within_s: float) -> bool:
    """Returns whether a worker has set a key."""
    with contextlib.suppress(tf.errors.OpError):
      eager_context.context().get_config_key_value(key, int(1000 * within_s))
      return True
    return False

  def _end(self, raise_secs: float) -> None:
    """Makes collectives raise; ends the process if they do not in time."""
    eager_context.context().abort_collective_ops(
        tf.errors.DEADLINE_EXCEEDED, self.message
    )
    if not self._is_over.wait(raise_secs):
      programs.fail(self.message, programs.Failure.exit_code)
      sys.stdout.flush()
      sys.stderr.flush()
      os._exit(programs.Failure.exit_code)


def where(watched: int, for_s: float) -> str:
  """Returns where a process is at work, as FILE:LINE (FUNCTION).

  Args:
    watched: The training thread.
    for_s: How long to observe it.

  Returns:
    The location of that thread, or of Python code called from a graph; empty
    if the thread stays in one TensorFlow operation, and waits.
  """
  before = sys._current_frames()[watched]
  instruction = before.f_lasti
  time.sleep(for_s)
  frames = sys._current_frames()
  for frame in frames.values():
    stack = _stack(frame)
    calls = [each.f_code.co_filename == _CALLS for each in stack]
    if True in calls and calls.index(True):
      return _place(stack[: calls.index(True)])
  now = frames[watched]
  is_still = now is before and now.f_lasti == instruction  # Not tracing.
  if is_still and now.f_code.co_filename.startswith(_TENSORFLOW):
    return ''
  return _place(_stack(now))


def _stack(frame: FrameType | None) -> list[FrameType]:
  """Returns a frame and its callers, innermost first."""
  stack = []
  while frame is not None:
    stack.append(frame)
    frame = frame.f_back
  return stack


def _place(stack: list[FrameType]) -> str:
  """Describes the innermost frame outside libraries, if there is one."""
  own = [
      frame
      for frame in stack
      if not frame.f_code.co_filename.startswith((*_OF_OTHERS, '<'))
  ]
  code, line = (own or stack)[0].f_code, (own or stack)[0].f_lineno
  return f'{code.co_filename}:{line} ({code.co_name})'
