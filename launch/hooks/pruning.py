"""Prunes runs of a sweep."""

from __future__ import annotations

import math
import pathlib
import statistics
from collections.abc import Mapping

from .. import workdir as workdir_lib
from . import monitor as monitor_lib


def worse_than_median(
    step: int, values: Mapping[str, float], *, workdir: str, least: int
) -> str | None:
  """Stops a run that is worse than the median of others at the same step.

  This is the rule of Optuna's MedianPruner.

  Args:
    step: The step of a validation.
    values: Its values.
    workdir: The work directory of the run, `trials/TRIAL/seed_SEED`. It is
      compared with complete runs of other trials with the same seed.
    least: The minimum number of other runs.

  Returns:
    A reason to stop if the run's best value is worse than the median of the
    others' values at this step, else None.

  Reference:
    Golovin et al., Google Vizier, 2017, section 3.2.2.
  """
  own, others = pathlib.Path(workdir), []
  monitor = None
  for path in own.parent.parent.glob(f'*/{own.name}'):
    directory = workdir_lib.Workdir(str(path))
    result = None if path == own else directory.read_result()
    if result and not was_pruned(result):
      monitor = monitor_lib.of_result(result)
      others += [
          row[monitor.metric]
          for row in directory.read_metrics()
          if row['split'] == 'validation'
          and row['step'] == step
          and math.isfinite(row[monitor.metric])
      ]
  if monitor is None or len(others) < least:
    return None
  best = values[monitor.metric]
  for row in workdir_lib.Workdir(workdir).read_metrics():
    is_before = row['split'] == 'validation' and row['step'] < step
    if is_before and monitor.is_better(row[monitor.metric], best):
      best = row[monitor.metric]
  median = statistics.median(others)
  if not monitor.is_better(median, best):
    return None
  return (
      f'{monitor.metric} {best:.4g} is worse than {median:.4g}, the median of '
      f'{len(others)} others at step {step}'
  )


def was_pruned(result: Mapping[str, object]) -> bool:
  """Returns whether a result.json is that of a run stopped here."""
  stopped = result.get('stopped')
  return (
      isinstance(stopped, dict)
      and stopped['hook'] == worse_than_median.__name__
  )
