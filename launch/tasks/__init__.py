"""Tasks: what can be trained, in one file each, chosen by the data's targets.

A custom task is a function that returns a `Task`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from pipelines import spec as spec_lib

from .. import config as config_lib
from .. import data as data_lib
from .. import parts, programs
from ..lookup import built_in, own
from . import (
    classification,
    inspection,
    making,
    multi_label,
    regression,
    segmentation,
    text,
)
from . import task as task_lib

Task = task_lib.Task
Report = task_lib.Report
Export = task_lib.Export
Inspection = inspection.Inspection
Section = inspection.Section

# By the kind of target that each is for.
TASKS: dict[str, ModuleType] = {
    'classification': classification,
    'multi_label': multi_label,
    'regression': regression,
    'segmentation': segmentation,
    'text': text,
}
_KINDS = {
    'classification': spec_lib.CLASS,
    'multi_label': spec_lib.CLASSES,
    'regression': spec_lib.NUMBERS,
    'segmentation': spec_lib.MASK,
    'text': spec_lib.CLASS,
}


def losses() -> dict[str, Callable[..., Any]]:
  """Returns the losses of all tasks by name."""
  return {
      name: loss
      for module in reversed(TASKS.values())
      for name, loss in module.LOSSES.items()
  }


def of(spec: spec_lib.Spec) -> str:
  """Returns the name of the task for the main target of a data set.

  Raises:
    UserError: If there is none.

  Example:
    >>> from launch import tasks
    >>> from pipelines import spec
    >>> number = spec.Feature('numbers', (), 'float32')
    >>> tasks.of(spec.Spec({'numbers': number, 'label': number}))
    'regression'
  """
  kind = spec[spec_lib.LABEL].kind if spec_lib.LABEL in spec else 'none'
  kinds = {feature.kind for feature in spec.inputs.values()}
  if kind == spec_lib.CLASS and kinds == {spec_lib.TEXT}:
    return 'text'
  for name, known in _KINDS.items():
    if known == kind:
      return name
  if kind == 'none':
    raise programs.UserError(
        f'--task: the data set has no label, only {", ".join(spec)}; name its '
        'target `label`, or give a task of your own that needs none.'
    )
  raise programs.UserError(
      f'--task: none is known for a target of the kind {kind!r}; there are '
      f'{", ".join(TASKS)}, or name a function of your own.'
  )


def with_defaults(
    config: config_lib.Config, spec: spec_lib.Spec
) -> config_lib.Config:
  """Fills in the parts that a config leaves to the task.

  Args:
    config: The config.
    spec: The features of its data.

  Returns:
    The config; unchanged for a custom task.

  Raises:
    UserError: If there is no task or model for such data.
  """
  name = config.task or of(spec)
  if not isinstance(name, str) or name not in TASKS:
    return config
  return dataclasses.replace(
      config,
      model=config.model or making.default_model(spec),
      loss=built_in.current('loss', config.loss) or TASKS[name].DEFAULT_LOSS,
  )


def make(data: data_lib.DataSpec, config: config_lib.Config) -> Task:
  """Makes the task of a config.

  Args:
    data: The description of the data set.
    config: The config.

  Returns:
    The task.

  Raises:
    UserError: If a name or an argument in the config is not valid.
  """
  name: Any = config.task or of(data.spec)
  if own.is_part(name):
    return _own(data, config)
  if name not in TASKS:
    raise programs.UserError(
        f'--task={name}: unknown; there are: {", ".join(TASKS)}.'
    )
  kind = data.target.kind
  if kind != _KINDS[name]:
    raise programs.UserError(
        f'--task={name}: it is for a target of the kind {_KINDS[name]!r}, and '
        f'that of the data set is {kind!r}.'
    )
  config = dataclasses.replace(
      config, loss=built_in.current('loss', config.loss)
  )
  _check_loss(config.loss, TASKS[name].LOSSES)
  return TASKS[name].make(data, config)


def _check_loss(name: Any, known: Mapping[str, Any]) -> None:
  """Rejects the loss of another task; unknown losses may fit.

  Raises:
    UserError: If only another task has the loss.
  """
  if isinstance(name, str) and name not in known and name in losses():
    raise programs.UserError(
        f'--loss={name}: it is for another task; there are: '
        f'{", ".join(sorted(known))}.'
    )


def _own(data: data_lib.DataSpec, config: config_lib.Config) -> Task:
  """Makes a custom task."""
  made = parts.call('task', config.task, config.task_arg, spec=data.spec)
  missing = [
      name
      for name in (
          'model',
          'objective',
          'train_metric',
          'eval_metric',
          'monitor',
          'direction',
          'report',
          'predict',
          'export',
      )
      if not hasattr(made, name)
  ]
  if missing:
    raise programs.UserError(
        f'--task: {config.task} returned a {type(made).__name__} without '
        f'{", ".join(missing)}; return a launch.tasks.Task.'
    )
  return made
