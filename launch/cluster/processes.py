"""Workers as processes of this machine: started, heard, ended together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

_POLL_SECS = 0.05
_PR_SET_PDEATHSIG = 1


class Workers:
  """The processes of one start, which print each line behind their place in it.

  Each has a process group of its own: Ctrl-C in a terminal reaches the
  launcher alone, which passes it on once.
  """

  def __init__(
      self,
      command: Sequence[str],
      environments: Sequence[Mapping[str, str]],
  ):
    """Starts them.

    Args:
      command: The command of each.
      environments: The environment of each.
    """
    self._processes: list[subprocess.Popen[bytes]] = []
    self._readers: list[threading.Thread] = []
    self._killed: set[int] = set()
    try:
      # All before the first thread: what a child does before its program is on
      # might wait for a lock that another thread held.
      for environment in environments:
        self._start(command, environment)
      for index, process in enumerate(self._processes):
        self._read(process, f'[{index}] '.encode())
    except BaseException:
      self.kill()
      raise

  def _start(
      self, command: Sequence[str], environment: Mapping[str, str]
  ) -> None:
    self._processes.append(subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_die_with_parent(),
    ))

  def _read(self, process: subprocess.Popen[bytes], mark: bytes) -> None:
    assert process.stdout and process.stderr
    for source, target in (
        (process.stdout, sys.stdout), (process.stderr, sys.stderr)
    ):
      reader = threading.Thread(
          target=_copy, args=(source, target, mark), daemon=True
      )
      reader.start()
      self._readers.append(reader)

  def codes(self) -> list[int | None]:
    """Returns the exit codes: 128 + n after signal n, None while one is on."""
    return [
        code if code is None or code >= 0 else 128 - code
        for code in (process.poll() for process in self._processes)
    ]

  @property
  def killed(self) -> set[int]:
    """The places of those that `kill` had to end."""
    return set(self._killed)

  def wait(
      self,
      until: Callable[[list[int | None]], bool],
      timeout_s: float | None = None,
  ) -> list[int | None]:
    """Waits for something to happen to them.

    Args:
      until: Returns, given the exit codes, whether it has.
      timeout_s: How long to wait at most.

    Returns:
      The exit codes.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while not until(codes := self.codes()):
      if deadline is not None and time.monotonic() >= deadline:
        break
      time.sleep(_POLL_SECS)
    return codes

  def send(self, number: int) -> None:
    """Sends a signal to all that are on."""
    for process in self._processes:
      process.send_signal(number)  # Nothing is sent to one that has ended.

  def kill(self) -> None:
    """Kills all that are on, with what they have started, and waits."""
    for index, process in enumerate(self._processes):
      if process.poll() is None:
        self._killed.add(index)
        with contextlib.suppress(ProcessLookupError):
          os.killpg(process.pid, signal.SIGKILL)
    for process in self._processes:
      process.wait()
    for reader in self._readers:  # A process of theirs may hold a pipe open.
      reader.join(timeout=5.0)


def _copy(source: IO[bytes], target: IO[str], mark: bytes) -> None:
  """Copies lines, each with a mark, until their end."""
  for line in source:
    end = b'' if line.endswith(b'\n') else b'\n'
    text = (mark + line + end).decode('utf-8', 'backslashreplace')
    # If nobody reads them any more, the workers still go on.
    with contextlib.suppress(OSError, ValueError):
      target.write(text)
      target.flush()


def _die_with_parent() -> Callable[[], None] | None:
  """Returns what makes a child get SIGTERM when its parent ends, on Linux."""
  prctl = getattr(ctypes.CDLL(None), 'prctl', None)
  if prctl is None:
    return None
  return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
