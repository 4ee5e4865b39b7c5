"""Runs from a program of one's own.

config = launch.Config(num_epochs=20, workdir='runs/houses')
launch.run('regression', {'rooms': rooms, 'area': area, 'label': price}, config)

run = launch.load('runs/houses')
run.predict([{'rooms': 3, 'area': 120}])['prediction']
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import datasets

from . import config as config_lib
from . import (
    evaluation,
    finished_run,
    predicting,
    results,
    tasks,
    training_program,
    typed_json,
    unseen,
)
from . import inputs as inputs_lib

Config = config_lib.Config
Result = results.Result
Task = tasks.Task | Callable[..., tasks.Task] | str
"""A task, a function that makes one of a spec, or the name of either."""
Dataset = datasets.Dataset | Mapping[str, Any] | Callable[[], Any] | str
"""A data set, arrays by name or by split and name, a function that returns
either, or a name as --dataset takes it."""
# What has no name of its own, and what is said of anything else.
_OBJECTS: dict[str, tuple[Any, str]] = {
    'task': (
        tasks.Task,
        'a launch.tasks.Task, a function that makes one, or a name',
    ),
    'dataset': (
        (datasets.Dataset, Mapping),
        'a Dataset, arrays by name, a function that returns them, or a name',
    ),
}


class Loaded:
  """A trained run.

  Attributes:
    model: The model, a `tf.Module`, with the weights of the checkpoint.
    task: What was trained.
    config: The config.
    checkpoint: The path of the checkpoint.
    step: The step of it.
  """

  def __init__(self, run: finished_run.Run, strategy: tf.distribute.Strategy):
    """Wraps a run whose variables were made under a strategy."""
    self._run = run
    self._strategy = strategy
    self.model: Any = run.model
    self.task: tasks.Task = run.task
    self.config: config_lib.Config = run.config
    self.checkpoint = run.checkpoint
    self.step = run.step

  @functools.cached_property
  def _predictor(self) -> predicting.Predictor:
    return predicting.Predictor(self.task, self._run.experiment.data.spec)

  def predict(
      self, inputs: Any, *, may_lack: bool = False
  ) -> dict[str, np.ndarray]:
    """Predicts.

    Args:
      inputs: A list of records, each a mapping of columns or features to
        values, as `pipelines.encoding` takes them; a mapping of columns to
        lists; an array ``[num_examples, ...]`` of each input by name, as the
        data set has them; or, of a run with one input, a list or an array of
        its values alone. See `inputs.encoded`.
      may_lack: Whether a number of a raw example may be missing; it then counts
        as the mean.

    Returns:
      Columns ``[num_examples, ...]``, as the task's `predict` gives them.

    Raises:
      DataError: If something is missing or does not fit.
      ValueError: If it is none of these.
    """
    spec = self._run.experiment.data.spec
    return self._predictor(inputs_lib.encoded(inputs, spec, may_lack=may_lack))

  def evaluate(
      self, dataset: Dataset | None = None, split: str = 'test'
  ) -> evaluation.Scored:
    """Scores a split of a data set: every example exactly once.

    Args:
      dataset: The data set, as `run` takes it. Default: that which the run was
        trained on.
      split: `train`, `validation`, `test`; or `all` of one that the run has not
        seen.

    Returns:
      What was found.

    Raises:
      UserError: If there is no such split, or features do not fit those that
        the run was trained on.
    """
    other = None if dataset is None else _of_config('dataset', dataset)
    chosen = unseen.chosen(self._run, other, split)
    return evaluation.Evaluator(
        self._run.experiment, chosen.dataset, self._strategy
    ).run(self._run, chosen.split)


def run(
    task: Task | None = None,
    dataset: Dataset | None = None,
    config: Config | None = None,
) -> Result:
  """Trains, or goes on with, a run, as `launch.train` does.

  What it prints is what the program prints. Every option that names a part,
  such as `model`, takes the object as well. Of a function config.json has the
  name and the hash of its file, of other objects only that a program gave them:
  a function that makes a task is better than a task, whose model would begin
  with the weights that it happens to have.

  TensorFlow's global seed is set, and its operations are made deterministic.

  Args:
    task: What is trained. Default: what the config, or else the data, say.
    dataset: The examples. Default: those of the config.
    config: The options. Without a work directory, a new temporary one is made.

  Returns:
    What the run came to; of one that is complete already, what it had come to.

  Raises:
    ValueError: If an option, a part or the data are not valid; nothing is
      written then.
    TypeError: If an argument is of another type.
    launch.programs.Failure: If the run cannot go on.
    KeyboardInterrupt: If a signal interrupts it, once what it has trained is
      saved.

  Example::

    x = np.linspace(0.0, 1.0, 200, dtype=np.float32)
    result = launch.run(
        'regression', {'x': x, 'label': 2 * x + 1}, launch.Config(num_epochs=9)
    )
    result.values['test_rmse']
  """
  if config is None:
    config = Config()
  if not isinstance(config, Config):
    raise TypeError(
        f'config: expected a launch.Config, got {type(config).__name__}.'
    )
  changes: dict[str, Any] = {}
  if task is not None:
    changes['task'] = _of_config('task', task)
  if dataset is not None:
    changes['dataset'] = _of_config('dataset', dataset)
  if not config.workdir:
    changes['workdir'] = tempfile.mkdtemp(prefix='quatrain-')
  return training_program.run(dataclasses.replace(config, **changes))


def load(
    run: str,
    checkpoint: str | None = None,
    **given: Any,
) -> Loaded:
  """Loads a trained run.

  Args:
    run: Its work directory.
    checkpoint: `last`, `best`, or the path of a checkpoint. Default: the last.
    **given: Options, such as `task`, `dataset` (for `evaluate` alone) or
      `model`, that were objects without a name in the program that trained.

  Returns:
    The run.

  Raises:
    TypeError: If there is no such option.
    ValueError: If there is no such run or checkpoint, or something does not
      fit.
  """
  strategy = tf.distribute.get_strategy()
  place = Config(workdir=str(run))
  known = {field.name for field in dataclasses.fields(Config)}
  if unknown := given.keys() - known:
    raise TypeError(f'{min(unknown)}: there is no such option of a run.')
  for name in given.keys() & {'task', 'dataset'}:
    given[name] = _of_config(name, given[name])
  loaded = finished_run.load(place, checkpoint, strategy, given)
  return Loaded(loaded, strategy)


def _of_config(name: str, part: Any) -> Any:
  """Returns a task or a data set as an option of a config.

  Raises:
    TypeError: If it is none.
  """
  objects, expected = _OBJECTS[name]
  if isinstance(part, objects):
    return typed_json.Given(part)
  if isinstance(part, str) or callable(part):
    return part
  raise TypeError(f'{name}: expected {expected}, got {type(part).__name__}.')
