"""Restores the model of a run, for evaluation, prediction and export."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from core import checkpoint_files, checkpoints, distribution, variables
from pipelines import batches, datasets

from . import config as config_lib
from . import experiment as experiment_lib
from . import programs, reading, tasks
from . import workdir as workdir_lib
from .files import checksums as checksums_lib
from .lookup import recorded
from .settings import typed_json

# Options that only training needs.
_NOT_NEEDED = ('dataset', 'optimizer', 'schedule', 'augment', 'hooks')


@dataclasses.dataclass(frozen=True)
class Run:
  """A run that was trained, or is being trained.

  Attributes:
    workdir: The work directory.
    experiment: The parts of the run, with the restored model.
    checkpoint: The path of the restored checkpoint.
    step: The step of the checkpoint.
    accept_changes: Whether the data may have changed since the run began.
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
    """The task."""
    return self.experiment.task

  @property
  def config(self) -> config_lib.Config:
    """The config."""
    return self.experiment.config

  @functools.cached_property
  def dataset(self) -> datasets.Dataset:
    """The data set the run was trained on, opened at the first use.

    Raises:
      UserError: If it is missing, or its number of examples has changed.
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
    """Checks that the data set has a split, with unchanged examples.

    Raises:
      UserError: If it does not.
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
    """Raises UserError if examples have changed since the run began."""
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
          f'{message}; restore it, or use the current data with '
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
    place: The work directory, and the folders of data sets and archives, if
      these have moved since training. With `accept_changes`, the user's files
      may have changed.
    checkpoint: `last`, `best`, or the path of a checkpoint or of a folder, in
      which the newest checkpoint is used.
    strategy: The strategy under which to create the variables.
    given: Fields of the config, such as the task, that were given as objects
      in training, and cannot be found by name.

  Raises:
    UserError: If there is no such run or checkpoint, or they do not match.
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
    read = _reader(experiment, step)
    with _offering_best(directory, checkpoint, read):
      path = _restore(directory, checkpoint or 'last', read)
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
  """Raises UserError if a part that is needed cannot be found by name."""
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
  """Returns a function that restores model and step from a checkpoint's path.

  One call restores everything, because each call hashes all files.
  """
  parts = {'model': experiment.model}
  wanted, prefixes = variables.named(parts), ['model/', 'step']
  weights: tuple[str, ...] = ()
  if experiment.config.ema_decay is not None:
    # Runs evaluate the average, so it replaces the weights.
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


@contextlib.contextmanager
def _offering_best(
    directory: workdir_lib.Workdir,
    checkpoint: str | None,
    read: Callable[[str], object],
) -> Iterator[None]:
  """Adds to an error that the best checkpoint can be read, if it can."""
  try:
    yield
  except checkpoints.CheckpointError as error:
    best = None
    if checkpoint != 'best':
      with contextlib.suppress(checkpoints.CheckpointError):
        best, _ = checkpoints.newest_whole(directory.best, read)
    if best is None:
      raise
    raise programs.UserError(
        f'{error} --checkpoint=best takes {best}, which is whole.'
    ) from error


def _restore(
    directory: workdir_lib.Workdir,
    checkpoint: str,
    read: Callable[[str], object],
) -> str:
  """Reads a checkpoint, and prints which newer ones are damaged."""
  folders = {'last': directory.checkpoints, 'best': directory.best}
  folder = folders.get(checkpoint, checkpoint)
  is_file = checkpoint not in folders and not os.path.isdir(folder)
  if is_file and glob.glob(f'{glob.escape(folder)}.*'):
    read(checkpoint)
    return checkpoint
  path, damaged = (
      (None, ()) if is_file else checkpoints.newest_whole(folder, read)
  )
  if path is None and checkpoint == 'best':
    raise programs.UserError(
        f'--checkpoint=best: {folder} has none. Runs with --keep_best and a '
        'validation split write it with the first checkpoint after a '
        'validation.'
    )
  if path is None:
    found = [
        each
        for place in (directory.checkpoints, directory.best)
        for each in checkpoint_files.ordered(place)
    ]
    if checkpoint == 'last' or not found:
      raise programs.UserError(
          f'{directory.path}: no checkpoint was saved yet.'
      )
    raise programs.UserError(
        f'--checkpoint={checkpoint}: there is no checkpoint; expected last, '
        f'best, or one of {", ".join(found)}.'
    )
  for error in damaged:
    print(f'{error} {path} is taken instead.', flush=True)
  return path
