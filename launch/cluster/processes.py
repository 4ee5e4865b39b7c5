"""Workers as processes of this machine, started and ended together."""

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
from typing import IO, Any, Protocol

_POLL_SECS = 0.05
_PR_SET_PDEATHSIG = 1


class Target(Protocol):
  """A stream for the lines of workers."""

  def write(self, text: str, /) -> Any:
    """Writes a line, including its newline."""

  def flush(self) -> None:
    """Flushes the stream."""


class Workers:
  """The processes of one start, whose lines are prefixed by their place.

  Each has its own process group: Ctrl-C in a terminal reaches only the
  launcher, which passes it on once.
  """

  def __init__(
      self,
      command: Sequence[str],
      environments: Sequence[Mapping[str, str]],
      *,
      first: int = 0,
      directory: str | None = None,
      targets: tuple[Target, Target] | None = None,
      dies_by: int = signal.SIGTERM,
  ):
    """Starts the processes.

    Args:
      command: The command of each.
      environments: The environment of each.
      first: The place of the first one.
      directory: Their working directory. Default: the current one.
      targets: The streams for their stdout and stderr. Default: those of this
        process.
      dies_by: The signal that they get when this process ends, on Linux.
    """
    self._directory = directory
    self._targets = targets or (sys.stdout, sys.stderr)
    self._dies_by = dies_by
    self._processes: list[subprocess.Popen[bytes]] = []
    self._readers: list[threading.Thread] = []
    self._killed: set[int] = set()
    try:
      # Start all before the first thread: between fork and exec, a child could
      # wait for a lock held by another thread.
      for environment in environments:
        self._start(command, environment)
      for index, process in enumerate(self._processes, first):
        self._read(process, f'[{index}] '.encode())
    except BaseException:
      self.kill()
      raise

  def _start(
      self, command: Sequence[str], environment: Mapping[str, str]
  ) -> None:
    self._processes.append(
        subprocess.Popen(
            command,
            env=environment,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_die_with_parent(self._dies_by),
        )
    )

  def _read(self, process: subprocess.Popen[bytes], mark: bytes) -> None:
    assert process.stdout and process.stderr
    for source, target in zip(
        (process.stdout, process.stderr), self._targets, strict=True
    ):
      reader = threading.Thread(
          target=_copy, args=(source, target, mark), daemon=True
      )
      reader.start()
      self._readers.append(reader)

  def codes(self) -> list[int | None]:
    """Returns the exit codes: 128 + n after signal n, None if still running."""
    return [
        code if code is None or code >= 0 else 128 - code
        for code in (process.poll() for process in self._processes)
    ]

  @property
  def killed(self) -> set[int]:
    """The places of those that had to be killed."""
    return set(self._killed)

  def wait(
      self,
      until: Callable[[list[int | None]], bool],
      timeout_s: float | None = None,
  ) -> list[int | None]:
    """Waits for a condition on the exit codes.

    Args:
      until: Returns whether the exit codes meet the condition.
      timeout_s: The maximum time to wait.

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
    """Sends a signal to all that are running."""
    for process in self._processes:
      process.send_signal(number)  # Does nothing if the process has ended.

  def kill(self) -> None:
    """Kills all that are running, with their children, and waits."""
    for index, process in enumerate(self._processes):
      if process.poll() is None:
        self._killed.add(index)
        with contextlib.suppress(ProcessLookupError):
          os.killpg(process.pid, signal.SIGKILL)
    for process in self._processes:
      process.wait()
    for reader in self._readers:  # A child of theirs may hold a pipe open.
      reader.join(timeout=5.0)


def _copy(source: IO[bytes], target: Target, mark: bytes) -> None:
  """Copies lines, each with a prefix, until the end of the stream."""
  for line in source:
    end = b'' if line.endswith(b'\n') else b'\n'
    text = (mark + line + end).decode('utf-8', 'backslashreplace')
    # Workers continue even if the reader of their output is gone.
    with contextlib.suppress(OSError, ValueError):
      target.write(text)
      target.flush()


def _die_with_parent(number: int) -> Callable[[], None] | None:
  """Returns a function that has a child die with its parent, on Linux."""
  prctl = getattr(ctypes.CDLL(None), 'prctl', None)
  if prctl is None:
    return None
  return lambda: prctl(_PR_SET_PDEATHSIG, number)
