"""A worker of Ray Train: it runs a program of ours as a process of its own.

So the program has a main thread, which hears signals, and a loss ends no
process of Ray. What it ended with is told to a desk, an actor of Ray.
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
# Set by Ray Train, and read by no program of ours.
_NOT_OURS = ('TF_USE_LEGACY_KERAS',)


class Desk:
  """What the workers of one start and their launcher tell each other."""

  def __init__(self, num_workers: int):
    """Knows of nothing yet.

    Args:
      num_workers: How many workers there are.
    """
    self._codes: list[int | None] = [None] * num_workers
    self._first: list[int | None] | None = None
    self._lines: list[tuple[str, str]] = []
    self._number = 0
    self._is_on = False

  def tell(self, lines: list[tuple[str, str]]) -> int:
    """Takes lines of a worker; returns the signal to send to it, or 0.

    Args:
      lines: Each with its stream, 'stdout' or 'stderr'.
    """
    self._is_on = True
    self._lines += lines
    return self._number

  def ended(self, worker: int, code: int) -> None:
    """Notes the exit code of a worker, by its place."""
    self._codes[worker] = code
    if code and self._first is None:
      self._first = list(self._codes)

  def send(self, number: int) -> bool:
    """Asks for a signal to be sent to all; returns whether any still runs."""
    self._number = number
    return self._is_on

  def lines(self) -> list[tuple[str, str]]:
    """Returns the lines that were not returned yet."""
    lines, self._lines = self._lines, []
    return lines

  def codes(self) -> tuple[list[int | None], list[int | None]]:
    """Returns the exit codes, and those when the first failure was told."""
    return self._codes, self._first or self._codes


class _Lines:
  """Keeps the lines of a stream, for the desk."""

  def __init__(self, kept: list[tuple[str, str]], stream: str):
    self._kept = kept
    self._stream = stream

  def write(self, text: str, /) -> None:
    self._kept.append((self._stream, text))

  def flush(self) -> None:
    """They go with the next call."""


def run(settings: Mapping[str, Any]) -> None:
  """Runs the program in a worker of a `TensorflowTrainer`.

  Args:
    settings: `module`: its module; `flags`: its flags; `directory`: where it
      is started; `desk`: an actor of `Desk`.
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
    directory: Where it is started.
    worker: Its place.
    tell: Takes its lines, and returns a signal to send to it, or 0.

  Returns:
    Its exit code, 128 + n after signal n.
  """
  environment = {
      name: value for name, value in os.environ.items() if name not in _NOT_OURS
  }
  kept: list[tuple[str, str]] = []
  # Killed with this process, which Ray kills: the next start is not to meet it.
  workers = processes.Workers(
      command,
      [environment],
      first=worker,
      directory=directory,
      targets=(_Lines(kept, 'stdout'), _Lines(kept, 'stderr')),
      dies_by=signal.SIGKILL,
  )

  def told() -> int:
    number = len(kept)  # Others may come meanwhile.
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
