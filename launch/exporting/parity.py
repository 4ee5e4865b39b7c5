"""The difference between an export and its model, over a split."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import measuring, training
from pipelines import batches

from .. import finished_run, programs, tasks
from ..evaluating import evaluation
from ..hooks import monitor as monitor_lib

_BATCH_SIZE = 250
_TIMED_SIZES = (1, 32)
_NUM_RUNS = 15
# The allowed error of the metric of an int8 file: half a point for a score,
# half a percent for an error.
POINTS = 0.005
Columns = dict[str, np.ndarray]
Runner = Callable[[Columns], Columns]


class Reference:
  """The outputs of a run's model for the examples of a split.

  Attributes:
    split: The name of the split.
    inputs: The inputs of each batch, without padding.
    columns: The model's outputs for them, without strings.
    metric: The name of the metric that the run is judged by, or of the first
      other one if that is the loss. None if the outputs do not suffice to
      compute it.
    value: The model's value of the metric.
    limit: The allowed error of an int8 export.
  """

  def __init__(self, run: finished_run.Run, split: str, names: Sequence[str]):
    """Predicts all examples.

    Args:
      run: The run.
      split: The name of the split.
      names: The inputs.
    """
    self.split = split
    self._task = run.experiment.task
    self._batches = list(
        batches.eval_batches(
            run.dataset.split(split), global_batch_size=_BATCH_SIZE
        )
    )
    self._is_real = [each['weight'].numpy() > 0 for each in self._batches]
    self.inputs = [
        {name: batch[name].numpy()[is_real] for name in names}
        for batch, is_real in zip(self._batches, self._is_real, strict=True)
    ]
    predict = tf.function(self._task.predict, autograph=False)
    self.model: Runner = lambda inputs: {
        name: value.numpy()
        for name, value in predict(
            {n: tf.constant(v) for n, v in inputs.items()}
        ).items()
    }
    self._measure = _measure(self._task)
    self.columns = list(map(_numeric, map(self.model, self.inputs)))
    self.metric, self.value, self.limit = self._chosen(run.config.monitor)

  @property
  def num_examples(self) -> int:
    """The number of examples."""
    return sum(int(is_real.sum()) for is_real in self._is_real)

  def compared(
      self, runner: Runner, convert: Callable[[Columns], Columns]
  ) -> dict[str, Any]:
    """Runs an export on all examples.

    Args:
      runner: The export.
      convert: Converts the inputs to those of the export.

    Returns:
      Its differences, its metric, and its speed.
    """
    found = [_numeric(runner(convert(given))) for given in self.inputs]
    value = None
    if self.metric is not None:
      value = self._values(found)[self.metric]
    return {
        **_parity(_joined(self.columns), _joined(found)),
        'metric': value,
        'milliseconds': self.milliseconds(runner, convert),
    }

  def milliseconds(
      self, runner: Runner, convert: Callable[[Columns], Columns] = dict
  ) -> dict[str, float]:
    """Returns the median time of a call, by batch size."""
    found = {}
    for size in _TIMED_SIZES:
      inputs = convert(self.some(size))
      # A web page measures itself, so that data transfer is not counted.
      timed = getattr(runner, 'milliseconds', None) or _timed(runner)
      found[str(size)] = round(timed(inputs, _NUM_RUNS), 3)
    return found

  def some(self, size: int) -> Columns:
    """Returns the inputs of some examples, repeated if there are too few."""
    known = self.inputs[0]
    rows = np.arange(size) % len(next(iter(known.values())))
    return {name: value[rows] for name, value in known.items()}

  def _chosen(
      self, asked: str | None
  ) -> tuple[str | None, float | None, float | None]:
    """Chooses the metric and computes it for the model."""
    values = self._values(self.columns)
    if not values:
      return None, None, None
    task = self._task
    own = monitor_lib.Monitor(task.monitor, task.direction)
    name = asked or task.monitor
    if name in values:
      direction = monitor_lib.choose(asked, own, list(values)).direction
    else:
      name = next(n for n in (*task.headline, *values) if n in values)
      direction = 'min'
    value = values[name]
    is_score = direction == 'max'
    return name, value, POINTS if is_score else POINTS * abs(value)

  def _values(self, columns: Sequence[Columns]) -> dict[str, float]:
    """Computes the metrics of the task from predictions.

    Returns:
      Numbers by name, without the loss; empty if the columns do not suffice.
    """
    metric = self._task.eval_metric
    if metric is None or not hasattr(self._task, 'predictions'):
      return {}
    total = None
    for batch, is_real, part in zip(
        self._batches, self._is_real, columns, strict=True
    ):
      sums = self._measure(batch, _padded(part, is_real))
      if sums is None:
        return {}
      total = (
          sums if total is None else tf.nest.map_structure(tf.add, total, sums)
      )
    values = evaluation.scalars(training.summarize(metric, total))
    return {name: value for name, value in values.items() if name != 'loss'}


def _measure(task: tasks.Task) -> Callable[[Any, Columns], Any]:
  """Makes a function from a batch and columns to the sums of the metrics."""

  @tf.function(autograph=False)
  def measure(batch: Any, columns: Any) -> Any:
    given = task.objective(task.model, batch, None, is_training=False)
    made = task.predictions(columns, given.predictions)
    if made is None:
      return None
    measured = given._replace(predictions=made)
    return measuring.measure(task.eval_metric, measured, batch)[1]

  return measure


def _timed(runner: Runner) -> Callable[[Columns, int], float]:
  """Makes a function that measures the median milliseconds of a call."""

  def timed(inputs: Columns, num_runs: int) -> float:
    runner(inputs)
    found = []
    for _ in range(num_runs):
      started = time.perf_counter()
      runner(inputs)
      found.append(time.perf_counter() - started)
    return 1e3 * float(np.median(found))

  return timed


def _padded(columns: Columns, is_real: np.ndarray) -> dict[str, tf.Tensor]:
  """Replaces padding by zeros."""
  padded = {}
  for name, value in columns.items():
    array = np.zeros([len(is_real), *value.shape[1:]], value.dtype)
    array[is_real] = value
    padded[name] = tf.constant(array)
  return padded


def _numeric(columns: Columns) -> Columns:
  """Removes columns of strings."""
  return {
      name: value
      for name, value in columns.items()
      if np.issubdtype(value.dtype, np.number) or value.dtype == bool
  }


def _joined(parts: Sequence[Columns]) -> Columns:
  return {n: np.concatenate([part[n] for part in parts]) for n in parts[0]}


def _parity(reference: Columns, candidate: Columns) -> dict[str, Any]:
  """Compares the columns that both have.

  Differences of numbers are relative to the largest number of their column, if
  that is above 1.

  Raises:
    UserError: If there are no numbers to compare.
  """
  shared = [name for name in reference if name in candidate]
  floats = [n for n in shared if np.issubdtype(reference[n].dtype, np.floating)]
  if not shared:
    raise programs.UserError(
        'export: no output has numbers, so nothing can be compared.'
    )
  size = len(reference[shared[0]])
  differences = []
  differs = np.zeros([size], bool)
  for name in shared:
    one, other = reference[name], candidate[name]
    if one.shape != other.shape:
      raise programs.Failure(
          f'{name} has the shape {list(other.shape)}, and {list(one.shape)} '
          'in the model.'
      )
    if name in floats:
      scale = max(1.0, float(np.max(np.abs(one), initial=0)))
      apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
      differences.append(np.ravel(apart / scale))
    else:
      differs |= (one != other).reshape([size, -1]).any(axis=1)
  if not floats:  # Integers are either equal or not.
    differences.append(differs.astype(np.float64))
  apart = np.concatenate(differences)
  return {
      'num_examples': size,
      'max_difference': float(apart.max()),
      'mean_difference': float(apart.mean()),
      'num_disagreements': int(differs.sum()),
  }
