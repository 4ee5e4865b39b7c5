"""A run's model, out of its work directory, for evaluation and export."""

from __future__ import annotations

import dataclasses
import json
import os

import tensorflow as tf

from core import checkpoints, distribution, models, variables
from pipelines import batches, datasets

from . import experiment as experiment_lib
from . import programs
from . import workdir as workdir_lib


@dataclasses.dataclass(frozen=True)
class Run:
  """A run that was trained, or is being trained.

  Attributes:
    workdir: Its work directory.
    experiment: The parts of it.
    model: The model, restored.
    dataset: The data set that it was trained on.
    checkpoint: The path of the checkpoint that was restored.
    step: The step of it.
  """

  workdir: workdir_lib.Workdir
  experiment: experiment_lib.Experiment
  model: models.Model
  dataset: datasets.Dataset
  checkpoint: str
  step: int


def load(
    workdir: str | None,
    checkpoint: str | None,
    *,
    data_dir: str | None,
    archives_dir: str | None,
    strategy: tf.distribute.Strategy,
) -> Run:
  """Rebuilds a run's model and restores its weights.

  Args:
    workdir: The work directory.
    checkpoint: `last`, `best`, or the path of a checkpoint or of a folder of
      them, of which the newest is taken.
    data_dir: Where prepared data sets are; None is where they were in training.
    archives_dir: Where archives are; None likewise.
    strategy: The strategy to make the variables under.

  Returns:
    The run.

  Raises:
    UserError: If there is no such run or checkpoint, or they do not fit.
  """
  directory = workdir_lib.of_run(
      workdir, is_chief=distribution.is_chief(strategy)
  )
  start = directory.read_start()
  config, data = start.config, start.data
  try:
    dataset = experiment_lib.open_dataset(
        config,
        data_dir or start.program.get('data_dir'),
        archives_dir or start.program.get('archives_dir'),
    )
    if dict(dataset.num_examples) != data.num_examples:
      raise programs.UserError(
          f'{config.dataset} has {json.dumps(dict(dataset.num_examples))} '
          f'examples here, the run saw {json.dumps(data.num_examples)}.'
      )
    experiment = experiment_lib.Experiment(
        config,
        data,
        batches.num_train_steps_per_epoch(
            data.num_examples['train'], config.global_batch_size
        ),
    )
    with strategy.scope():
      experiment.build()
    path = _find(directory, checkpoint or 'last')
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    named = variables.named({'model': experiment.model})
    checkpoints.restore(path, named, prefix='model/')
    if config.average_decay is not None:
      # The average is what a run evaluates; it stands in for the weights.
      prefix = 'average/'
      trainable = variables.trainable({'model': experiment.model})
      averages = {prefix + name: v for name, v in trainable.items()}
      checkpoints.restore(path, averages, prefix=prefix + 'model/')
    checkpoints.restore(path, {'step': step}, prefix='step')
  except ValueError as error:
    raise programs.UserError(str(error)) from error
  return Run(
      workdir=directory,
      experiment=experiment,
      model=experiment.model,
      dataset=dataset,
      checkpoint=path,
      step=int(step.numpy()),
  )


def _find(directory: workdir_lib.Workdir, checkpoint: str) -> str:
  """Finds a checkpoint, and says which ones of its folder are damaged."""
  folders = {'last': directory.checkpoints, 'best': directory.best}
  folder = folders.get(checkpoint, checkpoint)
  if not os.path.isdir(folder) and checkpoint not in folders:
    return checkpoint
  path, damaged = checkpoints.newest_whole(folder)
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
