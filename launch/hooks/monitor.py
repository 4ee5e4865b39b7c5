"""The metric that a run is judged by, and its direction."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .. import programs

# Metrics for which smaller is better, by name.
_SMALL = re.compile(
    r'loss|error|entropy|perplexity|deviance|brier|divergence|distance|nll|cost'
    r'|(^|_)(mae|mape|mse|rmse|width)(_|$)'
)


@dataclasses.dataclass(frozen=True)
class Monitor:
  """A metric of the validation rows, and its direction.

  Attributes:
    metric: Its key in a row.
    direction: 'max' if larger is better, or 'min'.
  """

  metric: str
  direction: str

  def worst(self) -> float:
    """Returns a finite number that is worse than any other."""
    largest = sys.float_info.max
    return -largest if self.direction == 'max' else largest

  def best(self, rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Returns the first of the best validation rows, if there are any."""
    best: Mapping[str, Any] | None = None
    for row in rows:
      value = row.get(self.metric)
      if row['split'] != 'validation' or value is None:
        continue
      before = best[self.metric] if best else math.nan
      if best is None or self.is_better(
          value, before if math.isfinite(before) else self.worst()
      ):
        best = row
    return best

  def is_better(self, value: float, best: float) -> bool:
    """Returns whether a value is finite and strictly better."""
    if not math.isfinite(value):
      return False
    return value > best if self.direction == 'max' else value < best


def choose(
    metric: str | None, task: Monitor, known: Collection[str]
) -> Monitor:
  """Chooses the metric that a run is judged by.

  Args:
    metric: The value of --monitor. If None, the task's own metric.
    task: The task's own metric.
    known: The metrics of the validation rows.

  Returns:
    The metric. For one that is not the task's own, smaller is better if its
    name ends like that of a loss or an error.

  Raises:
    UserError: If there is no such metric.
  """
  if (metric or task.metric) not in known:
    what = 'no' if metric else "the task's own, but no"
    raise programs.UserError(
        f'--monitor={metric or task.metric}: {what} metric of the validation; '
        f'there are: {", ".join(known)}.'
    )
  if metric is None or metric == task.metric:
    return task
  return by_name(metric)


def by_name(metric: str) -> Monitor:
  """Returns a metric with the direction implied by its name."""
  return Monitor(metric, 'min' if _SMALL.search(metric) else 'max')


def of_result(result: Mapping[str, Any]) -> Monitor:
  """Returns the metric of a run, given its result.json."""
  named = by_name(result.get('monitor', 'accuracy'))  # Older results.
  return Monitor(named.metric, result.get('direction', named.direction))
