"""Starts all workers, starts them again after a loss, passes signals on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import FrameType
from typing import NamedTuple, Protocol

from .. import interruption, programs
from . import restarts


class Ended(NamedTuple):
  """How one start of all workers ended.

  Attributes:
    codes: The exit codes, 128 + n after signal n.
    worker: The worker that was the first to go, by its place; one that hung
      while all others left.
    what: What became of it, as in 'was ended by SIGKILL'.
  """

  codes: list[int]
  worker: int
  what: str


class Signals:
  """The signals that the launcher got, for the workers.

  Attributes:
    number: The signal that came first, or 0.
    kills: Whether it came a second time, which kills.
  """

  def __init__(self) -> None:
    """Starts with no signal."""
    self.number = 0
    self.kills = False

  def hear(self, number: int, _: FrameType | None = None) -> None:
    """Handles a signal."""
    self.kills = self.kills or number == self.number
    self.number = self.number or number


class Job(Protocol):
  """Workers that can be started again and again."""

  def start(self, signals: Signals) -> Ended:
    """Starts all workers, and waits until the last one has ended.

    Args:
      signals: Are passed on while they run; kill them once `kills` is true.

    Returns:
      How they ended.
    """

  def leave_out(self, worker: int) -> None:
    """Leaves a worker out of the next starts, by its place."""


def first_to_go(codes: Sequence[int | None]) -> int:
  """Returns the worker whose end was the cause of that of the others.

  Args:
    codes: The exit codes when the first was seen; None if still running.

  Returns:
    Its place. What was seen at the same time: a signal, then an exit code of
    its own, then 1, with which those leave who have lost another.
  """
  failed = [index for index, code in enumerate(codes) if code]
  return min(
      failed,
      key=lambda index: (codes[index] == programs.Failure.exit_code, index),
      default=0,
  )


def _exit_code(ended: Ended) -> int:
  """Returns the exit code of a start that is not followed by another."""
  code = ended.codes[ended.worker]
  known = (programs.UserError.exit_code, programs.Failure.exit_code)
  return code if code in known else programs.Failure.exit_code


def run(job: Job, policy: restarts.Policy, *, workdir: str | None) -> int:
  """Runs a program as several workers, until there is nothing left to do.

  Args:
    job: Starts them.
    policy: Decides whether to start again.
    workdir: The work directory of the run that they train.

  Returns:
    One exit code: 0 if all ended with it; 128 + n after signal n; 2 if that of
    the first to go was 2; else 1.
  """
  signals = Signals()
  with interruption.handling(signals.hear):
    while not signals.number:
      started = time.monotonic()
      ended = job.start(signals)
      if not any(ended.codes):
        return 0
      if signals.number:
        code = 128 + signals.number
        return code if code in ended.codes or signals.kills else 1
      code = ended.codes[ended.worker]
      at, step = '', None
      if code != programs.UserError.exit_code:
        step = restarts.last_step(workdir)
        at = f' at step {step}' if step else ' before the first row'
      failure = restarts.Failure(code, ended.worker, step)
      decision = policy.decide(failure)
      programs.note(
          f'worker {ended.worker} of {len(ended.codes)} {ended.what}{at}, '
          f'after {time.monotonic() - started:.0f} s; {decision.reason}.'
      )
      if not decision.again:
        return _exit_code(ended)
      if decision.without is not None:
        job.leave_out(decision.without)
  return 128 + signals.number  # It came between two starts.
