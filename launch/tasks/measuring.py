"""Metrics that a user asks for, instead of those of the task."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core import metrics as metrics_lib

from .. import data as data_lib
from .. import parts, several
from . import task as task_lib


def replaced(
    task: task_lib.Task,
    wanted: Sequence[str | Callable[..., Any]],
    given: Mapping[str, Any],
    data: data_lib.DataSpec,
) -> task_lib.Task:
  """Measures other metrics than those of a task.

  Args:
    task: The task; it is not changed.
    wanted: Functions that make a metric, or names of `core.metrics`.
    given: Arguments, by the metric's name and theirs: `NAME.ARGUMENT`.
    data: What the data set is.

  Returns:
    The task with these. It watches the loss if what it watched is not among
    them.

  Raises:
    UserError: If a name or an argument is not valid, or two are alike.
  """
  offered: dict[str, Any] = {}
  if (target := data.spec.get('label')) and target.num_classes:
    offered['num_classes'] = target.num_classes
  members = {
      each.name: parts.call('metric', each.part, each.arguments, **offered)
      for each in several.named('metric', wanted, given)
  }
  result = copy.copy(task)
  result.train_metric = result.eval_metric = metrics_lib.collection(members)
  result.headline = ()
  if result.monitor not in members:
    result.monitor, result.direction = 'loss', 'min'
  return result
