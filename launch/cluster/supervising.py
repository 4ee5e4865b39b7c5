"""Starts all workers, restarts them after a loss, and passes signals on."""

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
    worker: The place of the worker that ended first, or that hung while all
      others exited.
    what: What happened to it, such as 'was ended by SIGKILL'.
  """

  codes: list[int]
  worker: int
  what: str


class Signals:
  """The signals that the launcher received.

  Attributes:
    number: The first signal, or 0.
    kills: Whether it was repeated, which kills the workers.
  """

  def __init__(self) -> None:
    """Starts without a signal."""
    self.number = 0
    self.kills = False

  def hear(self, number: int, _: FrameType | None = None) -> None:
    """Handles a signal."""
    self.kills = self.kills or number == self.number
    self.number = self.number or number


class Job(Protocol):
  """Workers that can be started repeatedly."""

  def start(self, signals: Signals) -> Ended:
    """Starts all workers, and waits until the last one has ended.

    Args:
      signals: Passed on while they run; kills them once `kills` is true.

    Returns:
      How they ended.
    """

  def leave_out(self, worker: int) -> None:
    """Excludes the worker at this place from later starts."""


def first_to_go(codes: Sequence[int | None]) -> int:
  """Returns the worker that caused the end of the others.

  Args:
    codes: The exit codes when the first was seen. None for running workers.

  Returns:
    Its place. Among simultaneous ends, signals come first, then other exit
    codes, then 1, the code of workers that have lost another.
  """
  failed = [index for index, code in enumerate(codes) if code]
  return min(
      failed,
      key=lambda index: (codes[index] == programs.Failure.exit_code, index),
      default=0,
  )


def _exit_code(ended: Ended) -> int:
  """Returns the exit code of a final start."""
  code = ended.codes[ended.worker]
  known = (programs.UserError.exit_code, programs.Failure.exit_code)
  return code if code in known else programs.Failure.exit_code


def run(job: Job, policy: restarts.Policy, *, workdir: str | None) -> int:
  """Runs a program as several workers, with restarts.

  Args:
    job: Starts the workers.
    policy: Decides whether to restart.
    workdir: The work directory of the run.

  Returns:
    One exit code: 0 if all workers returned 0; 128 + n after signal n; 2 if the
    first to end returned 2; else 1.
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
  return 128 + signals.number  # It arrived between two starts.
