"""Finds the worst examples of a split, and keeps some numbers of all."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import datasets, splits

from .. import experiment as experiment_lib
from .. import interruption
from ..evaluating import by_example
from ..tasks import inspection as inspection_lib

Example = dict[str, Any]

_MAX_EXAMPLES = 24
# Small examples allow larger batches than in training.
_MAX_BATCH_SIZE = 250
_SMALL = 1_000_000 // _MAX_BATCH_SIZE
# Maximum numbers to keep of a column; enough to fit a temperature.
_MAX_NUMBERS = 4_000_000
_MAX_VALIDATION = 5_000
# After a signal, a split that has taken longer than this is abandoned.
_PATIENCE_SECS = 5.0


@dataclasses.dataclass(frozen=True)
class Inspected:
  """The result of inspecting a split.

  Attributes:
    split: Its name.
    num_examples: The number of its examples.
    worst: The examples with the largest scores, largest first: the features of
      each, its `index`, and the columns of the inspection.
    kept: The columns kept of all examples, by split: see `Inspection.sections`.
    inspection: The inspection that chose the examples.
    shown: The columns to show of them.
  """

  split: str
  num_examples: int
  worst: list[Example]
  kept: dict[str, dict[str, np.ndarray]]
  inspection: inspection_lib.Inspection
  shown: tuple[str, ...]


def inspect(
    experiment: experiment_lib.Experiment, model: Any, dataset: datasets.Dataset
) -> Inspected | None:
  """Inspects the test split or, without one, the validation split.

  Args:
    experiment: The parts of the run.
    model: Its model, or the average of it.
    dataset: The data set.

  Returns:
    The result. None if the data set has neither split.

  Raises:
    Interrupted: If a signal arrives, and a split takes several seconds.
  """
  there = [n for n in ('test', 'validation') if n in dataset.num_examples]
  if not there:
    return None
  task = experiment.task
  inspection = getattr(task, 'inspection', inspection_lib.Inspection())
  look = _Look(experiment, model, inspection)
  kept, worst = look.at(dataset.split(there[0]))
  columns: dict[str, dict[str, np.ndarray]] = {there[0]: kept}
  if inspection.needs_validation and len(there) > 1:
    columns[there[1]] = look.at(dataset.split(there[1]), _MAX_VALIDATION)[0]
  shown = inspection.shown
  if worst and 'prediction' not in worst[0]:
    shown = (
        *_add_predictions(
            task, model, worst, list(experiment.data.spec.inputs)
        ),
        *shown,
    )
  return Inspected(
      there[0],
      dataset.num_examples[there[0]],
      worst,
      columns,
      inspection,
      tuple(dict.fromkeys(shown)),
  )


class _Look:
  """Inspects splits."""

  def __init__(
      self,
      experiment: experiment_lib.Experiment,
      model: Any,
      inspection: inspection_lib.Inspection,
  ):
    self._inspection = inspection
    size = min(experiment.config.global_batch_size, _MAX_BATCH_SIZE)
    inputs = experiment.data.spec.inputs.values()
    if sum(math.prod(feature.shape) for feature in inputs) <= _SMALL:
      size = _MAX_BATCH_SIZE
    self._measure = by_example.measuring(
        experiment, model, inspection.columns, size
    )

  def at(
      self, data: splits.Split, most: int | None = None
  ) -> tuple[dict[str, np.ndarray], list[Example]]:
    """Returns the kept columns, and the worst examples."""
    kept: dict[str, list[np.ndarray]] = {n: [] for n in self._inspection.kept}
    worst: list[Example] = []
    seen, started = 0, time.monotonic()
    with interruption.remembering() as interrupted:
      for features, columns in self._measure(data):
        for name, parts in kept.items():
          column = columns[name]
          if seen * column[:1].size < _MAX_NUMBERS:
            parts.append(column)
        worst = _largest(worst, features | columns)
        seen += len(features['index'])
        if most and seen >= most:
          break
        if interrupted.signal and (time.monotonic() - started > _PATIENCE_SECS):
          raise interruption.Interrupted(interrupted.signal)
    return {n: np.concatenate(parts) for n, parts in kept.items()}, worst


def _largest(worst: list[Example], arrays: by_example.Arrays) -> list[Example]:
  """Returns the examples with the largest scores; NaN counts as largest."""
  scores = arrays[inspection_lib.SCORE].astype(np.float64)
  scores[np.isnan(scores)] = np.inf
  arrays = arrays | {inspection_lib.SCORE: scores}
  order = np.argsort(-scores, kind='stable')[:_MAX_EXAMPLES]
  found = [
      {name: np.array(array[i]) for name, array in arrays.items()}
      for i in order
      if scores[i] > -np.inf
  ]
  # Ties keep the order of the split.
  return sorted([*worst, *found], key=lambda each: -each[inspection_lib.SCORE])[
      :_MAX_EXAMPLES
  ]


def _add_predictions(
    task: Any, model: Any, worst: list[Example], inputs: Iterable[str]
) -> list[str]:
  """Adds the predictions of a task; returns the names of columns to show."""
  task = copy.copy(task)
  task.model = model
  batch = {n: tf.constant(np.stack([e[n] for e in worst])) for n in inputs}
  found = {name: each.numpy() for name, each in task.predict(batch).items()}
  for name, column in found.items():
    for example, value in zip(worst, column, strict=True):
      example.setdefault(name, value)
  return [] if 'prediction' in found else list(found)
