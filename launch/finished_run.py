"""A run's model, out of its work directory: to score, predict and export."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from core import checkpoints, distribution, variables
from pipelines import batches, datasets

from . import checksums as checksums_lib
from . import config as config_lib
from . import experiment as experiment_lib
from . import programs, reading, recorded, tasks, typed_json
from . import workdir as workdir_lib

# What a run is trained with, and neither scored nor used.
_NOT_NEEDED = ('dataset', 'optimizer', 'schedule', 'augment', 'hooks')


@dataclasses.dataclass(frozen=True)
class Run:
  """A run that was trained, or is being trained.

  Attributes:
    workdir: Its work directory.
    experiment: The parts of it; the variables of the model are restored.
    checkpoint: The path of the checkpoint that was restored.
    step: The step of it.
    accept_changes: Whether data may differ from those that the run began with.
  """

  workdir: workdir_lib.Workdir
  experiment: experiment_lib.Experiment
  checkpoint: str
  step: int
  accept_changes: bool = False

  @property
  def model(self) -> Any:
    """The model."""
    return self.experiment.model

  @property
  def task(self) -> tasks.Task:
    """What was trained."""
    return self.experiment.task

  @property
  def config(self) -> config_lib.Config:
    """The config."""
    return self.experiment.config

  @functools.cached_property
  def dataset(self) -> datasets.Dataset:
    """The data set that it was trained on, opened when it is first wanted.

    Raises:
      UserError: If it is not there, or another one is.
    """
    data = self.experiment.data
    try:
      dataset = reading.open_dataset(self.config)
    except ValueError as error:
      raise programs.UserError(str(error)) from error
    if dict(dataset.num_examples) != data.num_examples:
      raise programs.UserError(
          f'{self.config.dataset} has '
          f'{json.dumps(dict(dataset.num_examples))} examples here, the run '
          f'saw {json.dumps(data.num_examples)}.'
      )
    return dataset

  def check_split(self, split: str) -> None:
    """Checks that the data set has a split, with the examples that it had.

    Raises:
      UserError: If it has not.
    """
    if split in self.dataset.num_examples:
      self._check_same(split)
      return
    why = self.dataset.left_out.get(split)
    raise programs.UserError(
        f'--split={split}: {self.dataset.name} has '
        f'{", ".join(self.dataset.num_examples)}'
        f'{f"; {split} is left out: {why}" if why else ""}.'
    )

  def _check_same(self, split: str) -> None:
    """Refuses other examples than those that the run began with."""
    before = self.experiment.data.fingerprint.get(split)
    checksums = self.dataset.checksums(split)
    if before is None or reading.fingerprint(checksums)[split] == before:
      return
    now = dataclasses.replace(self.experiment.data, checksums=checksums)
    example = checksums_lib.first_difference(self.workdir.path, now, split)
    message = (
        f'--workdir={self.workdir.path}: {example or f"split {split}"} of '
        f'{self.config.dataset} is not what it was when the run began'
    )
    if not self.accept_changes:
      raise programs.UserError(
          f'{message}; restore it, or take the data as they are now with '
          '--accept_changes.'
      )
    programs.note(f'{message}.')


def load(
    place: config_lib.Config,
    checkpoint: str | None,
    strategy: tf.distribute.Strategy,
    given: Mapping[str, Any] | None = None,
) -> Run:
  """Rebuilds a run's model and restores its weights.

  Args:
    place: Its work directory, and where data sets and archives are, if they are
      not where they were in training; with `accept_changes`, files of the
      user's parts are taken as they are now.
    checkpoint: `last`, `best`, or the path of a checkpoint or of a folder of
      them, of which the newest is taken.
    strategy: The strategy to make the variables under.
    given: Fields of the config, such as the task, that are objects of the
      program and cannot be found by name.

  Returns:
    The run.

  Raises:
    UserError: If there is no such run or checkpoint, or they do not fit.
  """
  directory = workdir_lib.of_run(
      place.workdir, is_chief=distribution.is_chief(strategy)
  )
  start = directory.read_start()
  data = start.data
  config = recorded.located(
      dataclasses.replace(start.config, **(given or {})),
      start.code,
      directory.path,
      accept_changes=place.accept_changes,
  )
  config = dataclasses.replace(
      config,
      data_dir=place.data_dir or config.data_dir,
      archives_dir=place.archives_dir or config.archives_dir,
  )
  _check_not_given(config)
  try:
    experiment = experiment_lib.Experiment(
        config,
        data,
        batches.num_train_steps_per_epoch(
            data.num_examples['train'], config.global_batch_size
        ),
    )
    with strategy.scope():
      experiment.build()
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    path = _restore(directory, checkpoint or 'last', _reader(experiment, step))
  except ValueError as error:
    raise programs.UserError(str(error)) from error
  return Run(
      workdir=directory,
      experiment=experiment,
      checkpoint=path,
      step=int(step.numpy()),
      accept_changes=place.accept_changes,
  )


def _check_not_given(config: config_lib.Config) -> None:
  """Refuses a run whose parts no name finds; its data are not needed yet.

  Raises:
    UserError: If there is such a part.
  """
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    values = value if isinstance(value, tuple) else (value,)
    if typed_json.GIVEN in values and field.name not in _NOT_NEEDED:
      raise programs.UserError(
          f'--workdir={config.workdir}: its {field.name} was an object of the '
          f'program that trained it: launch.load(..., {field.name}=...) takes '
          'it, and a function at the top of a file is found by its name.'
      )


def _reader(
    experiment: experiment_lib.Experiment, step: tf.Variable
) -> Callable[[str], object]:
  """Returns what restores a model and a step from the checkpoint of a path.

  All at once: each call compares the hashes of all files.
  """
  parts = {'model': experiment.model}
  wanted, prefixes = variables.named(parts), ['model/', 'step']
  weights: tuple[str, ...] = ()
  if experiment.config.ema_decay is not None:
    # The average is what a run evaluates; it stands in for the weights.
    weights = tuple(variables.trainable(parts))
    prefixes.append('average/model/')
    for name in weights:
      wanted[f'average/{name}'] = wanted.pop(name)
  return functools.partial(
      checkpoints.restore,
      variables={**wanted, 'step': step},
      prefix=tuple(prefixes),
      ignored=weights,
  )


def _restore(
    directory: workdir_lib.Workdir,
    checkpoint: str,
    read: Callable[[str], object],
) -> str:
  """Reads a checkpoint, and says which newer ones of its folder are damaged."""
  folders = {'last': directory.checkpoints, 'best': directory.best}
  folder = folders.get(checkpoint, checkpoint)
  if not os.path.isdir(folder) and checkpoint not in folders:
    read(checkpoint)
    return checkpoint
  path, damaged = checkpoints.newest_whole(folder, read)
  if path is None and checkpoint == 'best':
    raise programs.UserError(
        f'--checkpoint=best: {folder} has none. It is kept, under --keep_best, '
        'of a run with validations, from its first checkpoint after one on.'
    )
  if path is None:
    what = 'workdir' if checkpoint == 'last' else 'checkpoint'
    named = directory.path if checkpoint == 'last' else checkpoint
    raise programs.UserError(f'--{what}={named}: no checkpoint was saved yet.')
  for error in damaged:
    print(f'{error} {path} is taken instead.', flush=True)
  return path
