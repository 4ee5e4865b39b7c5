"""Runs from a program of one's own.

run = launch.load('runs/houses')
run.predict({'numbers': [[3.0, 120.0]], 'categories': [[1]]})['prediction']
run.predict([{'rooms': 3, 'area': 120, 'kind': 'flat'}])['prediction']
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import datasets, encoding

from . import config as config_lib
from . import evaluation, finished_run, predicting, tasks, unseen


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

  def predict(self, inputs: Any) -> dict[str, np.ndarray]:
    """Predicts.

    Args:
      inputs: An array ``[num_examples, ...]`` of each input by name, as the
        data set has them; the array alone if there is one input; or a list of
        raw examples, each a mapping of columns or features to values, as
        `pipelines.encoding` takes them.

    Returns:
      Columns ``[num_examples, ...]``, as the task's `predict` gives them.

    Raises:
      DataError: If something is missing or does not fit.
    """
    spec = self._run.experiment.data.spec
    if _are_records(inputs):
      records = [
          encoding.Record(f'example {index}', values)
          for index, values in enumerate(inputs)
      ]
      return self._predictor(encoding.encode(records, spec).arrays)
    if not isinstance(inputs, Mapping):
      if len(spec.inputs) != 1:
        raise ValueError(
            f'inputs: expected a mapping of {", ".join(spec.inputs)}, got a '
            f'{type(inputs).__name__}.'
        )
      inputs = {next(iter(spec.inputs)): inputs}
    return self._predictor(predicting.checked(inputs, spec))

  def evaluate(
      self, dataset: datasets.Dataset | str | None = None, split: str = 'test'
  ) -> evaluation.Scored:
    """Scores a split of a data set: every example exactly once.

    Args:
      dataset: The data set, or its name as --dataset takes it. Default: that
        which the run was trained on.
      split: `train`, `validation`, `test`; or `all` of one that the run has not
        seen.

    Returns:
      What was found.

    Raises:
      UserError: If there is no such split, or features do not fit those that
        the run was trained on.
    """
    chosen = unseen.chosen(self._run, dataset, split)
    return evaluation.Evaluator(
        self._run.experiment, chosen.dataset, self._strategy
    ).run(self._run, chosen.split)


def load(run: str, checkpoint: str | None = None) -> Loaded:
  """Loads a trained run.

  Args:
    run: Its work directory.
    checkpoint: `last`, `best`, or the path of a checkpoint. Default: the last.

  Returns:
    The run.

  Raises:
    UserError: If there is no such run or checkpoint, or they do not fit.
  """
  strategy = tf.distribute.get_strategy()
  place = config_lib.Config(workdir=str(run))
  loaded = finished_run.load(place, checkpoint, strategy)
  return Loaded(loaded, strategy)


def _are_records(inputs: Any) -> bool:
  return (
      isinstance(inputs, Sequence)
      and not isinstance(inputs, str)
      and bool(inputs)
      and all(isinstance(each, Mapping) for each in inputs)
  )
