"""Metrics that a user asks for, instead of those of the task."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core import metrics as metrics_lib

from .. import arguments, programs
from .. import data as data_lib
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
  members: dict[str, metrics_lib.Metric] = {}
  functions = [_find(each) for each in wanted]
  names = [each.__name__ for each in functions]
  for name in names:
    if names.count(name) > 1:
      raise programs.UserError(
          f'--metrics: two are called {name}; their values would have one key.'
      )
  unknown = sorted({key.partition('.')[0] for key in given} - set(names))
  if unknown:
    raise programs.UserError(
        f'--metric_arg={unknown[0]}.: no such metric; there are: '
        f'{", ".join(names)}.'
    )
  for name, function in zip(names, functions, strict=True):
    own = {
        key.partition('.')[2]: value
        for key, value in given.items()
        if key.partition('.')[0] == name
    }
    members[name] = _made(name, function, own, data)
  result = copy.copy(task)
  result.train_metric = result.eval_metric = metrics_lib.collection(members)
  result.headline = ()
  if result.monitor not in members:
    result.monitor, result.direction = 'loss', 'min'
  return result


def _find(name: str | Callable[..., Any]) -> Callable[..., Any]:
  if callable(name):
    return name
  known = [
      each
      for each in metrics_lib.__all__
      if each not in ('Collection', 'Metric', 'collection', 'of')
  ]
  if name not in known:
    raise programs.UserError(
        f'--metrics={name}: unknown; there are: {", ".join(known)}.'
    )
  return getattr(metrics_lib, name)


def _made(
    name: str,
    function: Callable[..., Any],
    own: Mapping[str, Any],
    data: data_lib.DataSpec,
) -> metrics_lib.Metric:
  """Makes a metric, with what of the data its signature has."""
  signature = inspect.signature(function).parameters
  offered = {}
  target = data.spec.get('label')
  if 'num_classes' in signature and target and target.num_classes:
    offered['num_classes'] = target.num_classes
  known = arguments.parameters(function, *offered)
  checked = arguments.checked('metric_arg', own, known)
  try:
    made = function(**offered, **checked)
  except (TypeError, ValueError) as error:
    raise programs.UserError(f'--metrics={name}: {error}') from None
  if not isinstance(made, metrics_lib.Metric):
    raise programs.UserError(
        f'--metrics={name}: expected a function that makes a Metric, got a '
        f'{type(made).__name__} from it.'
    )
  return made
