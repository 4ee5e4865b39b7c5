"""A worker of Ray Train, which runs a program as a separate process.

That gives the program a main thread, which receives signals, and its failure
ends no process of Ray. Its exit code is reported to a desk, a Ray actor.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import processes

_POLL_SECS = 0.5
# Set by Ray Train, and not used by our programs.
_NOT_OURS = ('TF_USE_LEGACY_KERAS',)


class Desk:
  """Exchanges messages between the launcher and the workers of a start."""

  def __init__(self, num_workers: int):
    """Starts without messages, for `num_workers` workers."""
    self._codes: list[int | None] = [None] * num_workers
    self._first: list[int | None] | None = None
    self._lines: list[tuple[str, str]] = []
    self._number = 0
    self._is_on = False

  def tell(self, lines: list[tuple[str, str]]) -> int:
    """Takes lines of a worker; returns the signal to send to it, or 0.

    Args:
      lines: Pairs of a stream, 'stdout' or 'stderr', and a line.
    """
    self._is_on = True
    self._lines += lines
    return self._number

  def ended(self, worker: int, code: int) -> None:
    """Records the exit code of the worker at a place."""
    self._codes[worker] = code
    if code and self._first is None:
      self._first = list(self._codes)

  def send(self, number: int) -> bool:
    """Requests a signal for all workers; returns whether any still runs."""
    self._number = number
    return self._is_on

  def lines(self) -> list[tuple[str, str]]:
    """Returns the lines that were not returned before."""
    lines, self._lines = self._lines, []
    return lines

  def codes(self) -> tuple[list[int | None], list[int | None]]:
    """Returns the exit codes, now and at the time of the first failure."""
    return self._codes, self._first or self._codes


class _Lines:
  """Collects the lines of a stream for the desk."""

  def __init__(self, kept: list[tuple[str, str]], stream: str):
    self._kept = kept
    self._stream = stream

  def write(self, text: str, /) -> None:
    self._kept.append((self._stream, text))

  def flush(self) -> None:
    """Does nothing: lines are sent with the next call."""


def run(settings: Mapping[str, Any]) -> None:
  """Runs the program in a worker of a `TensorflowTrainer`.

  Args:
    settings: `module`: its module; `flags`: its flags; `directory`: its working
      directory; `desk`: a `Desk` actor.
  """
  import ray
  from ray import train

  worker = train.get_context().get_world_rank()
  desk = settings['desk']
  code = run_command(
      [sys.executable, '-m', settings['module'], *settings['flags']],
      settings['directory'],
      worker,
      lambda lines: ray.get(desk.tell.remote(lines)),
  )
  ray.get(desk.ended.remote(worker, code))


def run_command(
    command: Sequence[str],
    directory: str,
    worker: int,
    tell: Callable[[list[tuple[str, str]]], int],
) -> int:
  """Runs the command of a worker.

  Args:
    command: The command.
    directory: Its working directory.
    worker: Its place.
    tell: Takes its lines, and returns a signal to send to it, or 0.

  Returns:
    Its exit code, 128 + n after signal n.
  """
  environment = {
      name: value for name, value in os.environ.items() if name not in _NOT_OURS
  }
  kept: list[tuple[str, str]] = []
  # Ray kills this process; its child must not outlive it into the next start.
  workers = processes.Workers(
      command,
      [environment],
      first=worker,
      directory=directory,
      targets=(_Lines(kept, 'stdout'), _Lines(kept, 'stderr')),
      dies_by=signal.SIGKILL,
  )

  def told() -> int:
    number = len(kept)  # More lines may arrive meanwhile.
    lines, kept[:number] = kept[:number], []
    return tell(lines)

  sent = 0
  try:
    while None in (codes := workers.codes()):
      if (number := told()) != sent:
        workers.send(number)
        sent = number
      time.sleep(_POLL_SECS)
  finally:
    workers.kill()
  told()
  [code] = codes
  assert code is not None
  return code
