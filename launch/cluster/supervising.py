"""Starts all workers, starts them again after a loss, passes signals on."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NamedTuple

from .. import interruption, programs
from . import members, ports, processes, restarts


class _Ended(NamedTuple):
  """How one start of all workers ended.

  Attributes:
    codes: The exit codes, 128 + n after signal n.
    worker: The worker that was the first to go, by its place; one that hung
      while all others left.
    hung: Whether it is such a one.
  """

  codes: list[int]
  worker: int
  hung: bool


class _Signals:
  """Passes signals on; the second of the kind kills.

  Attributes:
    number: The signal that came first, or 0.
  """

  def __init__(self) -> None:
    self.number = 0
    self.kills = False
    self.workers: processes.Workers | None = None

  def hear(self, number: int, _: FrameType | None = None) -> None:
    """Handles a signal."""
    self.kills = self.kills or number == self.number
    self.number = self.number or number
    if self.workers and not self.kills:
      self.workers.send(number)


def _environments(own: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
  """Returns the environment of each worker, with its cluster."""
  clusters = members.on_this_machine(ports.free(len(own)))
  return [
      {**os.environ, **each, members.VARIABLE: cluster.to_tf_config()}
      for each, cluster in zip(own, clusters, strict=True)
  ]


def _start(
    command: Sequence[str],
    own: Sequence[Mapping[str, str]],
    leave_secs: float,
    signals: _Signals,
) -> _Ended:
  """Starts all workers, and waits until the last one has ended."""
  workers = processes.Workers(command, _environments(own))
  signals.workers = workers
  try:
    if signals.number:  # It came while they were started.
      workers.send(signals.number)
    codes = workers.wait(
        lambda codes: signals.kills or any(codes) or None not in codes
    )
    worker = _first_to_go(codes)
    if None in codes and not signals.kills:
      timeout_s: float | None = leave_secs
      if codes[worker] == programs.UserError.exit_code:
        workers.send(signal.SIGTERM)  # There is nothing to save.
      if signals.number:  # A long step, and its checkpoint, are waited for.
        timeout_s = None
      codes = workers.wait(
          lambda codes: signals.kills or None not in codes, timeout_s
      )
  finally:
    signals.workers = None
    workers.kill()
  codes = workers.codes()
  left = [code for i, code in enumerate(codes) if i not in workers.killed]
  hung = len(workers.killed) == 1 and set(left) == {programs.Failure.exit_code}
  if hung:
    [worker] = workers.killed
  return _Ended([code or 0 for code in codes], worker, hung)


def _first_to_go(codes: list[int | None]) -> int:
  """Returns the worker whose end was the cause of that of the others."""
  # What was seen at the same time: a signal, then an exit code of its own.
  failed = [index for index, code in enumerate(codes) if code]
  return min(
      failed, key=lambda index: (codes[index] == 1, index), default=0
  )


def _exit_code(ended: _Ended) -> int:
  """Returns the exit code of a start that is not followed by another."""
  code = ended.codes[ended.worker]
  known = (programs.UserError.exit_code, programs.Failure.exit_code)
  return code if code in known else programs.Failure.exit_code


def _describe(ended: _Ended, leave_secs: float) -> str:
  code = ended.codes[ended.worker]
  if ended.hung:
    return f'did not end within {leave_secs:g} s of the others'
  if code > 128:
    with contextlib.suppress(ValueError):
      return f'was ended by {signal.Signals(code - 128).name}'
  return f'ended with exit code {code}'


def run(
    command: Sequence[str],
    own: Sequence[Mapping[str, str]],
    policy: restarts.Policy,
    *,
    workdir: str | None,
    leave_secs: float,
) -> int:
  """Runs a command as several workers, until there is nothing left to do.

  Args:
    command: The command of each worker.
    own: The environment variables of each that others have not.
    policy: Decides whether to start again.
    workdir: The work directory of the run that they train.
    leave_secs: How long those who are left after a loss may take to end.

  Returns:
    One exit code: 0 if all ended with it; 128 + n after signal n; 2 if that of
    the first to go was 2; else 1.
  """
  own, signals = list(own), _Signals()
  with interruption.handling(signals.hear):
    while not signals.number:
      started = time.monotonic()
      ended = _start(command, own, leave_secs, signals)
      if not any(ended.codes):
        return 0
      if signals.number:
        code = 128 + signals.number
        return code if code in ended.codes or signals.kills else 1
      failure = restarts.Failure(
          ended.codes[ended.worker], ended.worker, restarts.last_step(workdir)
      )
      decision = policy.decide(failure)
      at = f'at step {failure.step}' if failure.step else 'before the first row'
      programs.note(
          f'worker {ended.worker} of {len(own)} {_describe(ended, leave_secs)} '
          f'{at}, after {time.monotonic() - started:.0f} s; {decision.reason}.'
      )
      if not decision.again:
        return _exit_code(ended)
      if decision.without is not None:
        del own[decision.without]
  return 128 + signals.number  # It came between two starts.
