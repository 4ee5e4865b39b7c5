"""Initializes a new run from a checkpoint of another one.

Each variable of the new model, trainable or not, is looked up in the checkpoint
that `--init_from` names. Variables that are missing there, or have another
shape (such as the head for other classes), keep their initial values. The first
lines of the run list them, as does config.json, with a hash of the loaded ones.

A resumed run restores its own checkpoint instead.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from core import checkpoints, training, variables, workers

from .. import config as config_lib
from .. import experiment as experiment_lib
from .. import programs
from .. import workdir as workdir_lib
from ..files import paths, starts
from . import init_names

# The later prefix takes precedence, as runs evaluate the average.
_PREFIXES = ('model/', 'average/model/')
# Fields of the data that do not affect how weights are used.
_COUNTS = ('num_examples', 'class_counts', 'fingerprint')


@dataclasses.dataclass(frozen=True)
class Initial:
  """The variables that a run was initialized with.

  Attributes:
    checkpoint: The path of the checkpoint.
    sha256: The hash of the loaded variables. If all were loaded, it is the hash
      of the weights, as in result.json.
    loaded: The names of the loaded variables of the model.
    kept: The names that keep their initial values, and the reasons.
    unused: The names in the checkpoint that no variable of the model has.
    notes: Further remarks.
  """

  checkpoint: str
  sha256: str
  loaded: Sequence[str]
  kept: Mapping[str, str]
  unused: Sequence[str]
  notes: Sequence[str]

  def to_json(self) -> dict[str, Any]:
    """Returns the values for config.json."""
    return dataclasses.asdict(self)

  def lines(self) -> list[str]:
    """Describes what was loaded, with a line per variable that was not."""
    number, total = len(self.loaded), len(self.loaded) + len(self.kept)
    lines = [
        f'--init_from: {number} of {total} variables begin with their values '
        f'in {self.checkpoint}'
    ]
    lines += [
        f'  {name} keeps its initial values: {why}'
        for name, why in self.kept.items()
    ]
    if self.unused:
      lines.append(f'  not used: {", ".join(self.unused)}')
    return lines + [f'  {note}' for note in self.notes]


def find(config: config_lib.Config) -> tuple[str, list[str]]:
  """Finds the checkpoint for `--init_from`.

  Returns:
    The path, which is empty without `--init_from`, and messages about newer
    checkpoints that are damaged.

  Raises:
    UserError: If there is no such run or intact checkpoint, or if other flags
      need `--init_from`.
  """
  if config.init_from is None:
    for name in ('init_pattern', 'init_map'):
      if getattr(config, name):
        raise programs.UserError(
            f'--{name} chooses variables of --init_from, which is missing.'
        )
    return '', []
  flag = f'--init_from={config.init_from}'
  path = paths.local('init_from', config.init_from)
  if not path.is_dir():
    if not glob.glob(f'{glob.escape(str(path))}.*'):
      raise programs.UserError(
          f'{flag}: there is no such run or checkpoint; give the work '
          'directory of a run, or a path such as RUN/checkpoints/ckpt-40.'
      )
    return str(path), []
  of_run = workdir_lib.Workdir(str(path)).checkpoints
  folder = of_run if os.path.isdir(of_run) else str(path)
  try:
    newest, damaged = checkpoints.newest_whole(folder)
  except checkpoints.CheckpointError as error:
    raise programs.UserError(f'{flag}: {error}') from None
  if newest is None:
    raise programs.UserError(f'{flag}: no checkpoint was saved there.')
  return newest, [f'{error} An older one is used.' for error in damaged]


def load(
    experiment: experiment_lib.Experiment,
    state: training.TrainState,
    strategy: tf.distribute.Strategy,
) -> Initial | None:
  """Loads the checkpoint of `--init_from` into a new run, on each worker.

  Args:
    experiment: The parts of the run.
    state: The state before the first step. Only the model is loaded; the
      optimizer state and averages are initialized from it.
    strategy: The strategy that the state was created under.

  Returns:
    What was loaded, or None without `--init_from`.

  Raises:
    UserError: If the checkpoint is missing or damaged, none of it fits, a
      pattern or a name matches nothing, or workers read different values.
  """
  config = experiment.config
  path, notes = find(config)
  if not path:
    return None
  flag = f'--init_from={config.init_from}'
  model = variables.named(state.model)
  try:
    names, saved = _read_names(path)
    matched = init_names.match(
        config, {name: _describe(v) for name, v in model.items()}, saved
    )
    _restore(
        path, [(model[new], names[old]) for new, old in matched.pairs.items()]
    )
  except checkpoints.CheckpointError as error:
    raise programs.UserError(f'{flag}: {error}') from None
  _begin(experiment, state)
  if any(names[old].startswith(_PREFIXES[1]) for old in matched.pairs.values()):
    notes.append('the values are averages of weights, as that run scores them')
  if matched.left_out:
    notes.append(f'--init_pattern leaves out {len(matched.left_out)} variables')
  if differing := _differing(experiment, path):
    notes.append(f'differs from that run in {", ".join(differing)}')
  loaded = list(matched.pairs)
  sha256 = variables.digest({f'model/{name}': model[name] for name in loaded})
  _check_same(flag, sha256, strategy)
  return Initial(path, sha256, loaded, matched.kept, matched.unused, notes)


def check(
    directory: workdir_lib.Workdir,
    before: Mapping[str, Any] | None,
    now: Initial | None,
    *,
    accept_changes: bool,
) -> dict[str, list[Any]]:
  """Checks that a restarted run without a checkpoint loads the same values.

  Args:
    directory: The work directory of the run.
    before: The values recorded in config.json.
    now: What this start loaded; None if it restored its own checkpoint.
    accept_changes: Whether the values may differ.

  Returns:
    The changes, `[before, now]` by name.

  Raises:
    UserError: If the values differ and `accept_changes` is False.
  """
  if not before or not now or before['sha256'] == now.sha256:
    return {}
  if not accept_changes:
    raise programs.UserError(
        f'--workdir={directory.path} holds a run that has saved no checkpoint '
        f'and began with other values than {now.checkpoint} has now. Name '
        'another --workdir, or begin with these under --accept_changes.'
    )
  return {'initial values': [before['sha256'], now.sha256]}


def _read_names(path: str) -> tuple[dict[str, str], dict[str, str]]:
  """Reads the names of the weights in a checkpoint.

  Returns:
    The name in the checkpoint, and the description, by name in the model.
  """
  held = checkpoints.contents(path)
  names = {
      name.removeprefix(prefix): name
      for prefix in _PREFIXES
      for name in sorted(held)
      if name.startswith(prefix)
  }
  # A user's own program may have saved only a model.
  names = names or {name: name for name in sorted(held)}
  return names, {name: _describe(held[key]) for name, key in names.items()}


def _describe(spec: tf.TensorSpec | tf.Variable) -> str:
  return f'{spec.dtype.name} {spec.shape.as_list()}'


def _restore(path: str, pairs: Sequence[tuple[tf.Variable, str]]) -> None:
  """Restores variables by name; several variables may share a name."""
  first: dict[str, tf.Variable] = {}
  for variable, name in pairs:
    first.setdefault(name, variable)
  checkpoints.restore(path, first, partial=True)
  for variable, name in pairs:
    if variable is not first[name]:
      variable.assign(first[name].numpy())


def _begin(
    experiment: experiment_lib.Experiment, state: training.TrainState
) -> None:
  """Initializes the optimizer state and the average from the loaded weights."""
  tf.nest.map_structure(
      lambda variable, value: variable.assign(value),
      state.optimizer_state,
      experiment.optimizer.init(state.parameters),
  )
  if state.average is not None:
    for name, mean in state.average.parameters.items():
      mean.assign(state.parameters[name].numpy())


def _differing(experiment: experiment_lib.Experiment, path: str) -> list[str]:
  """Returns what differs in the run of a checkpoint, if it belongs to one."""
  run = _run_of(path)
  if run is None:
    return []
  # JSON values, in which objects are replaced by their names.
  flags = config_lib.changes(run.config.to_json(), experiment.config.to_json())
  differing = [f'--{name}' for name in ('model', 'model_arg') if name in flags]
  data = experiment.data.differences(run.data)
  return differing + [name for name in data if name not in _COUNTS]


def _run_of(path: str) -> starts.Start | None:
  """Reads the config.json of the run that a checkpoint belongs to, if any."""
  for folder in pathlib.Path(path).absolute().parents[:2]:
    run = folder.parent
    if folder.name == 'checkpoints' and (run / 'config.json').exists():
      return workdir_lib.Workdir(str(run)).read_start()
  return None


def _check_same(
    flag: str, sha256: str, strategy: tf.distribute.Strategy
) -> None:
  """Checks that all workers have loaded the same values.

  Raises:
    UserError: If they have not.
  """
  if len(set(workers.texts(strategy, sha256))) > 1:
    raise programs.UserError(
        f'{flag}: workers read different values; all workers need one shared '
        'directory.'
    )
