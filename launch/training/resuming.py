"""What a second start in a work directory may change, and what it may not."""

from __future__ import annotations

import dataclasses
from typing import Any

from core import checkpoint_manifests

from .. import building, loop, programs, tasks
from .. import config as config_lib
from .. import data as data_lib
from .. import workdir as workdir_lib
from ..comparing import differences
from ..files import checksums, data_files, starts
from ..lookup import code_files, recorded
from . import init_from

# The flags of built-in hooks, by name.
_FLAGS = {
    'EarlyStopping': ('early_stopping_patience', 'monitor'),
    'MaxMinutes': ('max_minutes',),
}


@dataclasses.dataclass(frozen=True)
class Resumed:
  """A resumed run, whose flags may have changed.

  Attributes:
    before: The content of config.json.
    is_complete: Whether nothing is left to do.
    stopped: The end by a hook, as recorded in config.json, if its flags are
      unchanged: the checkpoint of its step is the last one.
  """

  before: starts.Start
  is_complete: bool
  stopped: dict[str, Any] | None


def check(
    directory: workdir_lib.Workdir,
    config: config_lib.Config,
) -> Resumed:
  """Checks the flags of a second start against those of the run.

  Args:
    directory: The work directory of the run.
    config: The flags of this start; `accept_changes` allows changes that affect
      the weights.

  Returns:
    The run.

  Raises:
    UserError: If the flags are rejected.
  """
  before = directory.read_start()
  spec, code = before.data.spec, recorded.sources(config)
  changes = config_lib.changes(
      tasks.with_defaults(before.config, spec).to_json(),
      tasks.with_defaults(config, spec).to_json(),
  )
  edited = code_files.differences(before.code, code)
  refused = {
      f'--{name}': values
      for name, values in changes.items()
      if not config.is_free(name)
      and not code_files.is_same(values[0], values[1], before.code, code)
  } | edited
  if refused and not config.accept_changes:
    raise programs.UserError(
        f'--workdir={directory.path} holds a run with other flags: '
        f'{differences.describe(refused)}. Give the same flags, name another '
        '--workdir, or go on with the new ones under --accept_changes.'
    )
  result = directory.read_result()
  num_steps = config.length(before.data.num_examples['train'])
  stopped = before.stopped
  if stopped and changes.keys() & _flags(stopped['hook']):
    stopped = None
  last = {num_steps, stopped['step']} if stopped else {num_steps}
  is_complete = result is not None and result['num_steps'] in last
  return Resumed(before, is_complete, stopped)


def _flags(hook: str) -> set[str]:
  """Returns the flags of a hook: if they change, the run continues."""
  return set(_FLAGS.get(hook, ('hooks', 'hook_arg')))


def changed(
    before: starts.Start,
    config: config_lib.Config,
    data: data_lib.DataSpec,
    code: code_files.Code | None = None,
) -> dict[str, Any]:
  """Returns all changes of a second start, `[before, now]` by name."""
  changes = {
      **config_lib.changes(before.config.to_json(), config.to_json()),
      **data.differences(before.data),
      **config_lib.changes(before.config.place(), config.place()),
      **code_files.differences(before.code, code or {}),
  }
  changes.pop('workdir', None)  # It may be moved or written differently.
  return changes


def check_data(
    directory: workdir_lib.Workdir,
    before: data_lib.DataSpec,
    data: data_lib.DataSpec,
    *,
    accept_changes: bool,
) -> None:
  """Checks that a resumed run has the data that it started with.

  Args:
    directory: The work directory of the run.
    before: The data that it started with.
    data: The data of this start.
    accept_changes: Whether they may differ.

  Raises:
    UserError: If they differ.
  """
  changes = data.differences(before)
  if changes and not accept_changes:
    first = None
    if changes.pop('fingerprint', None):
      first = checksums.first_difference(directory.path, data)
    what = differences.describe(changes, verb=' is')
    if first:
      what += f'{"; " if what else ""}the first that differs is {first}'
    raise programs.UserError(
        f'--workdir={directory.path} holds a run on other data: '
        f'{what or "examples differ"}. Name another --workdir, or go on with '
        'the new data under --accept_changes.'
    )


def check_length(
    directory: workdir_lib.Workdir, step: int, num_steps: int
) -> None:
  """Checks that a run is not longer than its flags allow.

  Args:
    directory: The work directory of the run.
    step: The step that it resumes from.
    num_steps: The number of steps set by the flags.

  Raises:
    UserError: If the run is beyond them.
  """
  if step > num_steps:
    raise programs.UserError(
        f'--workdir={directory.path} is at step {step} already, beyond the '
        f'{num_steps} of --num_epochs or --num_steps: give at least as many, '
        'or name another --workdir.'
    )


def go_on(
    directory: workdir_lib.Workdir,
    resumed: Resumed,
    training: building.Training,
) -> list[str]:
  """Prepares resuming a run: its state, and the record of changes.

  Args:
    directory: The work directory of the run.
    resumed: The run.
    training: The run, built with the new flags.

  Returns:
    Messages about it.

  Raises:
    UserError: If it is longer already, or its checkpoints are missing.
  """
  experiment, now = training.experiment, training.now
  check_length(directory, now.step, experiment.num_steps)
  if not training.restored:
    directory.check_progress(resumed.before)
  if resumed.stopped and resumed.stopped['step'] == now.step:
    now.stopped = loop.Stopped(**resumed.stopped)
  code = recorded.sources(experiment.config)
  initial = resumed.before.initial if training.restored else None
  if training.initial:
    initial = training.initial.to_json()
  changes = changed(
      resumed.before, experiment.config, experiment.data, code
  ) | init_from.check(
      directory,
      resumed.before.initial,
      training.initial,
      accept_changes=experiment.config.accept_changes,
  )
  directory.config_file.record(
      now.step,
      changes,
      experiment.config,
      experiment.data,
      code,
      resumed.stopped,
      initial,
      data_files.stamp(experiment.config),
  )
  notes = [
      f'{error} It is kept aside, as damaged-*, from the next checkpoint on.'
      for error in training.damaged
  ]
  if training.restored:
    notes.append(f'resumed from {training.restored}')
    if not checkpoint_manifests.has(training.restored):
      notes.append('it has no manifest; only TensorFlow compared its checksums')
  else:
    notes.append('no checkpoint was saved before; the run begins anew')
  if changes:
    notes.append(f'changed: {differences.describe(changes)}')
  if training.restored and 'init_from' in changes:
    notes.append('--init_from: only a new run begins with it, this one goes on')
  return notes
