"""Metrics that a user chooses instead of those of the task."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core import metrics as metrics_lib

from .. import data as data_lib
from .. import parts, several
from ..lookup import own
from . import task as task_lib


def replaced(
    task: task_lib.Task,
    wanted: Sequence[str | Callable[..., Any]],
    given: Mapping[str, Any],
    data: data_lib.DataSpec,
) -> task_lib.Task:
  """Replaces the metrics of a task.

  Args:
    task: The task, which is not changed.
    wanted: Functions that make a metric, or names in `core.metrics`.
    given: Arguments by the names of metric and argument, `NAME.ARGUMENT`.
    data: The description of the data set.

  Returns:
    A task with these metrics. It monitors the loss if they do not include the
    metric that it monitored.

  Raises:
    UserError: If a name or an argument is not valid, or two metrics are alike.
  """
  offered: dict[str, Any] = {}
  if (target := data.spec.get('label')) and target.num_classes:
    offered['num_classes'] = target.num_classes
  members = {
      each.name: _explained(
          each, parts.call('metric', each.part, each.arguments, **offered)
      )
      for each in several.named('metric', wanted, given)
  }
  result = copy.copy(task)
  result.train_metric = result.eval_metric = metrics_lib.collection(members)
  result.headline = ()
  if result.monitor not in members:
    result.monitor, result.direction = 'loss', 'min'
  return result


def _explained(
    named: several.Named, metric: metrics_lib.Metric
) -> metrics_lib.Metric:
  """Names a custom metric in the errors of its functions."""
  if not own.is_part(named.part):
    return metric  # Its measure is shared with others'.

  def explained(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
      with parts.mistakes_in_own('metric', named.part):
        return function(*args, **options)

    return call

  return metrics_lib.Metric(
      explained(metric.measure), explained(metric.compute)
  )
