"""Workers as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from .. import programs
from . import members, ports, processes, supervising


class Here:
  """A job whose workers are processes of this machine."""

  def __init__(
      self,
      command: Sequence[str],
      own: Sequence[Mapping[str, str]],
      leave_secs: float,
  ):
    """Configures the job without starting it.

    Args:
      command: The command of each worker.
      own: The environment variables specific to each worker.
      leave_secs: How long the remaining workers may take to exit after a loss.
    """
    self._command = command
    self._own = list(own)
    self._leave_secs = leave_secs

  def leave_out(self, worker: int) -> None:
    """Excludes the worker at this place from later starts."""
    del self._own[worker]

  def start(self, signals: supervising.Signals) -> supervising.Ended:
    """Starts all workers, and waits until the last one has ended.

    Args:
      signals: The signals to pass on while they run.

    Returns:
      How they ended.
    """
    workers = processes.Workers(self._command, self._environments())
    told = 0

    def until(codes: list[int | None], wanted: bool) -> bool:
      nonlocal told
      if signals.number != told and not signals.kills:
        workers.send(signals.number)
        told = signals.number
      return signals.kills or wanted or None not in codes

    try:
      codes = workers.wait(lambda codes: until(codes, any(codes)))
      worker = supervising.first_to_go(codes)
      if None in codes and not signals.kills:
        timeout_s: float | None = self._leave_secs
        if codes[worker] == programs.UserError.exit_code:
          workers.send(signal.SIGTERM)  # There is nothing to save.
        if signals.number:  # Allow for a long step and its checkpoint.
          timeout_s = None
        workers.wait(lambda codes: until(codes, False), timeout_s)
    finally:
      workers.kill()
    codes = workers.codes()
    left = [code for i, code in enumerate(codes) if i not in workers.killed]
    what = None
    if len(workers.killed) == 1 and set(left) == {programs.Failure.exit_code}:
      [worker] = workers.killed
      what = f'did not end within {self._leave_secs:g} s of the others'
    ended = [code or 0 for code in codes]
    return supervising.Ended(ended, worker, what or describe(ended[worker]))

  def _environments(self) -> list[dict[str, str]]:
    """Returns the environment of each worker, including its TF_CONFIG."""
    clusters = members.on_this_machine(ports.free(len(self._own)))
    return [
        {**os.environ, **each, members.VARIABLE: cluster.to_tf_config()}
        for each, cluster in zip(self._own, clusters, strict=True)
    ]


def describe(code: int) -> str:
  """Describes, as a verb phrase, how a worker ended, given its exit code."""
  if code > 128:
    with contextlib.suppress(ValueError):
      return f'was ended by {signal.Signals(code - 128).name}'
  return f'ended with exit code {code}'
