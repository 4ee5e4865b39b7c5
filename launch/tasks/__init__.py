"""Tasks: what can be trained, one file each, chosen by the data's targets.

A task of one's own is a function that returns a `Task`.
"""

from __future__ import annotations

from types import ModuleType

from pipelines import spec as spec_lib

from .. import config as config_lib
from .. import data as data_lib
from .. import programs
from . import classification
from . import task as task_lib

Task = task_lib.Task
Report = task_lib.Report
Export = task_lib.Export

TASKS: dict[str, ModuleType] = {'classification': classification}
_OF_KIND = {spec_lib.CLASS: 'classification'}


def of(spec: spec_lib.Spec) -> str:
  """Returns the name of the task that the main target of data is for.

  Raises:
    UserError: If there is none.
  """
  kind = spec[spec_lib.LABEL].kind if spec_lib.LABEL in spec else 'none'
  if kind not in _OF_KIND:
    raise programs.UserError(
        f'--task: no task is known for a target of the kind {kind!r}; there '
        f'are {", ".join(sorted(TASKS))}, or name a function of your own.'
    )
  return _OF_KIND[kind]


def make(data: data_lib.DataSpec, config: config_lib.Config) -> Task:
  """Makes the task of a config.

  Args:
    data: What the data set is.
    config: The config.

  Returns:
    The task.

  Raises:
    UserError: If a name or an argument in the config is not valid.
  """
  return TASKS[of(data.spec)].make(data, config)
