"""Decides when a launcher restarts all workers after a failure.

Exit codes 1 and 128 + n are retried, 0 and 2 are not. A second failure at the
same step would only repeat itself, so it ends the job. If the job may continue
with fewer workers, the worker that failed first both times is left out instead.
"""

from __future__ import annotations

import dataclasses
import pathlib

from core import checkpoint_files

from .. import programs
from ..files import metrics_file


@dataclasses.dataclass(frozen=True)
class Failure:
  """The failure of a start.

  Attributes:
    code: The exit code of the worker that ended first, 128 + n if signal n
      ended it.
    worker: The place of that worker in this start.
    step: The last known step of the run. None before the first.
  """

  code: int
  worker: int
  step: int | None


@dataclasses.dataclass(frozen=True)
class Decision:
  """The response to a failure.

  Attributes:
    again: Whether to restart all workers.
    without: The worker to leave out from now on, if any.
    reason: The reason, as the end of a sentence.
  """

  again: bool
  without: int | None
  reason: str


class Policy:
  """Decides on the successive failures of one job."""

  def __init__(self, num_workers: int, min_workers: int, max_restarts: int):
    """Starts without failures.

    Args:
      num_workers: The number of workers that the job starts with.
      min_workers: The minimum number of workers to continue with.
      max_restarts: The maximum number of restarts.
    """
    self._num_workers = num_workers
    self._min_workers = min_workers
    self._max_restarts = max_restarts
    self._num_restarts = 0
    self._last: Failure | None = None

  def decide(self, failure: Failure) -> Decision:
    """Decides whether to restart after a failure."""
    last, self._last = self._last, failure
    if failure.code == programs.UserError.exit_code:
      return Decision(False, None, 'that is a usage error')
    if self._num_restarts >= self._max_restarts:
      return Decision(False, None, f'--max_restarts={self._max_restarts}')
    without = None
    if last and last.step == failure.step:
      is_same = last.worker == failure.worker
      if not is_same or self._num_workers <= self._min_workers:
        return Decision(False, None, 'the second time at this step')
      without = failure.worker
      self._num_workers -= 1
      self._last = None  # The next start has fewer workers.
    self._num_restarts += 1
    count = f'{self._num_restarts} of {self._max_restarts}'
    if without is None:
      return Decision(True, None, f'starting all again ({count})')
    return Decision(
        True,
        without,
        f'the second time at this step: going on with {self._num_workers} '
        f'worker{"s" * (self._num_workers > 1)}, without it ({count})',
    )


def last_step(workdir: str | None) -> int | None:
  """Returns the last step of a run, according to its files.

  Args:
    workdir: Its work directory, which need not exist.

  Returns:
    The step of the last row of metrics or of the newest checkpoint, whichever
    is later. None without either.

  Raises:
    UserError: If metrics.jsonl is damaged.
  """
  if not workdir:
    return None
  folder = pathlib.Path(workdir).expanduser()
  steps = [metrics_file.MetricsFile(folder / 'metrics.jsonl').last_step()]
  for path in checkpoint_files.ordered(str(folder / 'checkpoints'))[:1]:
    steps.append(int(path.rpartition('-')[2]))
  return max((step for step in steps if step is not None), default=None)
