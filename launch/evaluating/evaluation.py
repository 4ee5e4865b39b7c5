"""Scores every example of a split exactly once."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core import metrics, objectives, training, waits
from pipelines import batches, datasets, in_memory, splits

from .. import experiment as experiment_lib
from .. import interruption, programs, tables, tasks
from ..machine import compilation_cache
from ..training import call_length, data_loops
from . import culprits

_NUM_EXAMPLES = 'examples'


@dataclasses.dataclass(frozen=True)
class Scored:
  """The result of an evaluation.

  Attributes:
    split: The split.
    num_examples: The number of scored examples, as the sum of their weights.
    values: The loss and each scalar metric, by name.
    arrays: The other metrics (arrays and nests of them), by name.
    task: The task.
  """

  split: str
  num_examples: int
  values: dict[str, float]
  arrays: dict[str, Any]
  task: tasks.Task

  @functools.cached_property
  def report(self) -> tasks.Report:
    """The report of the task, made at the first use."""
    return self.task.report({**self.values, **self.arrays})

  def to_json(self) -> dict[str, Any]:
    """Returns the result as JSON values."""
    return {
        'split': self.split,
        'num_examples': self.num_examples,
        'values': self.values,
        **{
            name: value
            for name, value in self.report.values.items()
            if name not in ('split', 'num_examples', 'values')
        },
    }

  def table(self) -> str:
    """Returns the report as text."""
    return tables.evaluation(
        self.split,
        self.values,
        self.num_examples,
        self.report.table,
        self.task.headline,
    )


class Evaluator:
  """Scores splits of a data set with a train state's model."""

  def __init__(
      self,
      experiment: experiment_lib.Experiment,
      dataset: datasets.Dataset,
      strategy: tf.distribute.Strategy,
      *,
      use_average: bool = False,
  ):
    """Makes the evaluation step, which is traced at its first use.

    Args:
      experiment: The parts of the run.
      dataset: The data set.
      strategy: The strategy that the state was created under.
      use_average: Whether to score the average of the state's weights.
    """
    self._experiment = experiment
    self._dataset = dataset
    self._strategy = strategy
    self._batch_size = experiment.config.global_batch_size
    self._is_resident = dataset.is_resident
    extent = experiment.extent(strategy, self._is_resident)
    # If each example has several places with weights, their sum is not the
    # number of examples.
    self._metric = experiment.eval_metric
    if experiment.has_places:
      self._metric = _counting(self._metric)
    self._step = training.make_eval_step(
        experiment.objective, self._metric, strategy, use_average, extent
    )
    self._extent = extent
    self._zeros: training.Sums | None = None
    self._call_length = call_length.CallLength(strategy)
    self._data_loops: dict[str, data_loops.DataLoop] = {}

  @property
  def num_traces(self) -> int:
    """How often the evaluation step was traced."""
    return self._step.experimental_get_tracing_count()

  def run(
      self, state: Any, split: str, most_steps: int | None = None
  ) -> Scored:
    """Scores the examples of a split, each once.

    Args:
      state: The train state.
      split: `train`, `validation` or `test`.
      most_steps: The maximum number of batches to score. Default: all.

    Raises:
      Failure: If a loss is not finite.
      InEvaluation: If any worker receives a signal; all of them then stop.
    """
    experiment = self._experiment
    if self._zeros is None:
      self._zeros = experiment.zero_sums(self._metric)
    if split not in self._data_loops:
      self._data_loops.update(self._make_data_loops(split))
      compilation_cache.align_names()  # Its first call traces the loop.
    num_steps = batches.num_eval_steps(
        self._dataset.num_examples[split], self._batch_size
    )
    num_steps = min(num_steps, most_steps or num_steps)
    sums, taken = self._score(state, self._data_loops[split], num_steps)
    values = training.summarize(self._metric, sums)
    num_examples = values.pop(_NUM_EXAMPLES, sums['weight'])
    if not bool(tf.math.is_finite(values['loss'])):
      found = culprits.find(experiment, self._batch(split, taken - 1))
      what = f'batch {taken} of {num_steps} of the {split} split is not finite'
      which = f': that of example {", ".join(map(str, found))}' if found else ''
      raise programs.Failure(f'the loss of {what}{which}.')
    numbers = scalars(values)
    return Scored(
        split=split,
        num_examples=round(float(num_examples)),
        values=numbers,
        arrays={
            name: tf.nest.map_structure(np.asarray, value)
            for name, value in values.items()
            if name not in numbers
        },
        task=experiment.task,
    )

  def _batch(self, split: str, start: int) -> objectives.Batch:
    data = batches.eval_batches(
        self._dataset.split(split), global_batch_size=self._batch_size
    )
    return next(iter(data.skip(start)))

  def _score(
      self, state: Any, data_loop: data_loops.DataLoop, num_steps: int
  ) -> tuple[training.Sums, int]:
    """Takes the steps, and checks for signals every half second."""
    assert self._zeros is not None
    sums, taken = self._zeros, 0
    with interruption.remembering() as interrupted:
      while taken < num_steps:
        size = min(self._call_length.size, num_steps - taken)
        started = time.monotonic()
        with waits.waiting():
          sums, some = data_loop(state, sums, taken, size)
          taken += int(some)
        seconds = time.monotonic() - started
        number = self._call_length.agree(seconds, size, interrupted.signal)
        if int(some) < size:  # A loss is not finite.
          break
        if number:  # Even after the last call: all workers must agree.
          raise interruption.InEvaluation(number)
    return sums, taken

  def _make_data_loops(self, split: str) -> dict[str, data_loops.DataLoop]:
    if not self._is_resident:
      data = self._dataset.split(split)
      data_loop = data_loops.StreamingLoops(self._step, self._strategy).over(
          data,
          lambda start, place: batches.eval_batches(
              data, global_batch_size=self._batch_size, **place
          ),
      )
      return {split: data_loop}
    # All scored splits are in one array, so that one program serves them all.
    splits = [name for name in self._dataset.num_examples if name != 'train']
    splits = splits if split in splits else [split]
    arrays = [_arrays(self._dataset.split(name)) for name in splits]
    resident = data_loops.ResidentLoops(
        self._step,
        self._strategy,
        self._extent,
        {key: np.concatenate([a[key] for a in arrays]) for key in arrays[0]},
    )
    sizes = [self._dataset.num_examples[name] for name in splits]
    num_steps = batches.num_eval_steps(max(sizes), self._batch_size)
    stops = np.cumsum(sizes).tolist()
    return {
        name: resident.over(
            functools.partial(
                _place,
                in_memory.eval_keys(
                    stop - size, stop, self._batch_size, num_steps
                ),
            )
        )
        for name, size, stop in zip(splits, sizes, stops, strict=True)
    }


def _arrays(data: splits.Split) -> dict[str, np.ndarray]:
  # All splits share one budget.
  assert isinstance(data, in_memory.InMemorySplit)
  return data.arrays


def _place(rows: tf.Tensor, step: int) -> tuple[tf.Tensor, int, int]:
  """Returns the place of a step's batch: rows, row and epoch."""
  return rows, step, 0


def _counting(metric: metrics.Metric | None) -> metrics.Metric:
  """Also counts examples with a positive weight in any of their places."""

  def measure(labels: Any, predictions: Any, weights: tf.Tensor) -> Any:
    places = list(range(1, weights.shape.rank))
    counted = tf.reduce_max(tf.cast(weights > 0, tf.float32), axis=places)
    measured = {}
    if metric is not None:
      measured = metric.measure(labels, predictions, weights)
    return {'metric': measured, _NUM_EXAMPLES: tf.reduce_sum(counted)}

  def compute(sums: Any) -> dict[str, Any]:
    values = {} if metric is None else metric.compute(sums['metric'])
    return {**values, _NUM_EXAMPLES: sums[_NUM_EXAMPLES]}

  return metrics.Collection(measure, compute)


def scalars(values: Mapping[str, Any]) -> dict[str, float]:
  """Returns the scalars of a summary, without arrays and nests."""
  return {
      name: float(value)
      for name, value in values.items()
      if tf.is_tensor(value) and not value.shape.rank
  }
