"""What a new run begins with, where another one has learned it.

Each variable of the new model, also one that is not trained, is looked for in
the checkpoint that `--init_from` names. What is not there, or is of another
shape, as the head for other classes is, keeps its initial values. The opening
of the run names these, and so does config.json, with a hash of what was loaded.

A run that goes on has all of it in its own checkpoints and reads no other.
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

from . import config as config_lib
from . import experiment as experiment_lib
from . import init_names, paths, programs, starts
from . import workdir as workdir_lib

# The later one counts: averages are what a run is scored by.
_PREFIXES = ('model/', 'average/model/')
# What of the data decides no weight.
_COUNTS = ('num_examples', 'class_counts', 'fingerprint')


@dataclasses.dataclass(frozen=True)
class Initial:
  """What a run began with.

  Attributes:
    checkpoint: The path of the checkpoint.
    sha256: The hash of what was loaded: that of all weights, as in result.json,
      if all were.
    loaded: The names of the model's variables that were.
    kept: Those that keep their initial values, and why.
    unused: The names in the checkpoint that no variable of the model has.
    notes: What else there is to say.
  """

  checkpoint: str
  sha256: str
  loaded: Sequence[str]
  kept: Mapping[str, str]
  unused: Sequence[str]
  notes: Sequence[str]

  def to_json(self) -> dict[str, Any]:
    """Returns what config.json keeps of it."""
    return dataclasses.asdict(self)

  def lines(self) -> list[str]:
    """Describes it, with a line for each variable that does not fit."""
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
  """Finds the checkpoint that `--init_from` means.

  Args:
    config: The config.

  Returns:
    Its path, and what there is to say of newer ones that are damaged; no path
    without `--init_from`.

  Raises:
    UserError: If there is no such run or checkpoint, none of it is whole, or
      other flags miss `--init_from`.
  """
  if config.init_from is None:
    for name in ('init_pattern', 'init_map'):
      if getattr(config, name):
        raise programs.UserError(
            f'--{name} says what is taken of --init_from, which is missing.'
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
  return newest, [f'{error} The one before is taken.' for error in damaged]


def load(
    experiment: experiment_lib.Experiment,
    state: training.TrainState,
    strategy: tf.distribute.Strategy,
) -> Initial | None:
  """Loads what a new run begins with; every worker loads the same.

  Args:
    experiment: The parts of the run.
    state: Its state before the first step. Of a checkpoint only the model is
      loaded; averages, and what the optimizer keeps of weights, begin with it.
    strategy: The strategy that it was made under.

  Returns:
    What was loaded, or None without `--init_from`.

  Raises:
    UserError: If the checkpoint is missing or damaged, nothing of it fits, a
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
  """Refuses other values than those that a run without a checkpoint began with.

  Args:
    directory: The work directory of the run.
    before: What config.json says of them.
    now: What this start loaded; None if the run goes on from a checkpoint.
    accept_changes: Whether they may differ.

  Returns:
    What changes, `[before, now]` by name.

  Raises:
    UserError: If they differ.
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
  """Reads which weights a checkpoint has.

  Args:
    path: The path of the checkpoint.

  Returns:
    By the name of each in its model: the one in the checkpoint, and what it is.
  """
  held = checkpoints.contents(path)
  names = {
      name.removeprefix(prefix): name
      for prefix in _PREFIXES
      for name in sorted(held)
      if name.startswith(prefix)
  }
  # A program of the user's own may have saved a model alone.
  names = names or {name: name for name in sorted(held)}
  return names, {name: _describe(held[key]) for name, key in names.items()}


def _describe(spec: tf.TensorSpec | tf.Variable) -> str:
  return f'{spec.dtype.name} {spec.shape.as_list()}'


def _restore(path: str, pairs: Sequence[tuple[tf.Variable, str]]) -> None:
  """Assigns what a checkpoint has by name, which several may share."""
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
  """Has all that is made of the weights begin with those that were loaded."""
  tf.nest.map_structure(
      lambda variable, value: variable.assign(value),
      state.optimizer_state,
      experiment.optimizer.init(state.parameters),
  )
  if state.average is not None:
    for name, mean in state.average.parameters.items():
      mean.assign(state.parameters[name].numpy())


def _differing(experiment: experiment_lib.Experiment, path: str) -> list[str]:
  """Names what differs in the run that a checkpoint is of, if it is of one."""
  run = _run_of(path)
  if run is None:
    return []
  # As JSON has them: an object by its name.
  flags = config_lib.changes(run.config.to_json(), experiment.config.to_json())
  differing = [f'--{name}' for name in ('model', 'model_arg') if name in flags]
  data = experiment.data.differences(run.data)
  return differing + [name for name in data if name not in _COUNTS]


def _run_of(path: str) -> starts.Start | None:
  """Reads the config.json of the work directory that a checkpoint lies in."""
  for folder in pathlib.Path(path).absolute().parents[:2]:
    run = folder.parent
    if folder.name == 'checkpoints' and (run / 'config.json').exists():
      return workdir_lib.Workdir(str(run)).read_start()
  return None


def _check_same(
    flag: str, sha256: str, strategy: tf.distribute.Strategy
) -> None:
  """Checks that every worker has loaded the same.

  Raises:
    UserError: If one has not.
  """
  if len(set(workers.texts(strategy, sha256))) > 1:
    raise programs.UserError(
        f'{flag}: this worker reads other values than others do; all workers '
        'need one shared directory.'
    )
