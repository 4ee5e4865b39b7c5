"""Trains and loads runs from Python.

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
from . import finished_run, tasks, training_program
from . import inputs as inputs_lib
from . import workdir as workdir_lib
from .evaluating import evaluation, predicting, unseen
from .settings import typed_json
from .training import results

Config = config_lib.Config
Result = results.Result
Task = tasks.Task | Callable[..., tasks.Task] | str
"""A task, a function of a spec that returns one, or the name of either."""
Dataset = datasets.Dataset | Mapping[str, Any] | Callable[[], Any] | str
"""A data set, arrays by name or by split and name, a function that returns
either, or a name as for --dataset."""
# The types of objects without a name, and the expected types for messages.
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
    task: The task.
    config: The config.
    checkpoint: The path of the checkpoint.
    step: The step of the checkpoint.
  """

  def __init__(self, run: finished_run.Run, strategy: tf.distribute.Strategy):
    """Wraps a run whose variables were created under a strategy."""
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
      inputs: A list of records, each of which maps columns or features to
        values; a mapping of columns to lists; an array ``[num_examples, ...]``
        of each input by name; or, for a run with one input, a list or an array
        of its values. See `inputs.encoded`.
      may_lack: Whether numbers of raw examples may be missing. The mean
        replaces them.

    Returns:
      The columns of the task's `predict`, ``[num_examples, ...]``.

    Raises:
      DataError: If a value is missing or invalid.
      ValueError: If the inputs have another form.
    """
    spec = self._run.experiment.data.spec
    return self._predictor(inputs_lib.encoded(inputs, spec, may_lack=may_lack))

  def evaluate(
      self, dataset: Dataset | None = None, split: str = 'test'
  ) -> evaluation.Scored:
    """Scores every example of a split exactly once.

    Args:
      dataset: The data set, as for `run`. Default: the data set the run was
        trained on.
      split: `train`, `validation` or `test`; for another data set also `all`.

    Returns:
      The result.

    Raises:
      UserError: If there is no such split, or its features do not match the
        training data.
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
  """Trains or resumes a run, and prints its progress, as `launch.train` does.

  Options that name a part, such as `model`, also accept the object. config.json
  records the name of a function and the hash of its file, but for other objects
  only that a program gave them. Prefer a function that makes a task to a task,
  whose model would start with its current weights.

  This sets TensorFlow's global seed, and makes the operations of this process
  deterministic, unless `config.deterministic` is False.

  Args:
    task: The task. Default: the task of the config, or else of the data.
    dataset: The data set. Default: the data set of the config.
    config: The options. Without a work directory, a temporary one is created.

  Returns:
    The result of the run, also if it was complete already.

  Raises:
    ValueError: If an option, a part or the data are invalid. Nothing is written
      then.
    TypeError: If an argument has the wrong type.
    launch.programs.Failure: If the run cannot continue.
    KeyboardInterrupt: If a signal interrupts the run, after saving its
      progress.

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
    run: The work directory.
    checkpoint: `last`, `best`, or the path of a checkpoint. Default: the last.
    **given: Options that were given as objects without a name in training, such
      as `task`, `model` or `dataset` (only for `evaluate`).

  Raises:
    TypeError: If there is no such option.
    ValueError: If there is no such run or checkpoint, or they do not match.
  """
  workdir_lib.of_run(str(run), '')
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
  """Returns a task or a data set as a value of a config.

  Raises:
    TypeError: If it has another type.
  """
  objects, expected = _OBJECTS[name]
  if isinstance(part, objects):
    return typed_json.Given(part)
  if isinstance(part, str) or callable(part):
    return part
  raise TypeError(f'{name}: expected {expected}, got {type(part).__name__}.')
