"""Scores a split: every example exactly once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core import training
from pipelines import batches, datasets, examples, splits

from . import confusion, feeds, programs
from . import experiment as experiment_lib


@dataclasses.dataclass(frozen=True)
class Scored:
  """What an evaluation found.

  Attributes:
    split: The split.
    num_examples: How many examples were scored, by the sum of their weights.
    values: Each scalar metric and the loss, by name.
    per_class: Precision, recall and F1 of each class, by the class's name.
    confusion_matrix: Counts, a row for each true class; with more than 1,000
      classes the cells that are not 0, see `confusion.to_json`.
  """

  split: str
  num_examples: int
  values: dict[str, float]
  per_class: dict[str, dict[str, float]]
  confusion_matrix: list[list[int]]

  def to_json(self) -> dict[str, Any]:
    """Returns the values as JSON has them."""
    return dict(vars(self))  # Not `asdict`, which copies number by number.


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
    """Makes the evaluation step; it is traced at its first use only.

    Args:
      experiment: The parts of the run.
      dataset: The data set.
      strategy: The strategy that the state is made under.
      use_average: Whether to score the average of the state's weights.
    """
    self._experiment = experiment
    self._dataset = dataset
    self._strategy = strategy
    self._batch_size = experiment.config.global_batch_size
    self._is_resident = dataset.is_resident
    extent = experiment.extent(strategy, self._is_resident)
    self._step = training.make_eval_step(
        experiment.objective, experiment.eval_metric, strategy, use_average,
        extent,
    )
    self._extent = extent
    self._zeros = None
    self._feeds: dict[str, feeds.Feed] = {}

  @property
  def num_traces(self) -> int:
    """How often the evaluation step was traced."""
    return self._step.experimental_get_tracing_count()

  def run(self, state: Any, split: str) -> Scored:
    """Scores every example of a split once.

    Args:
      state: The train state.
      split: `train`, `validation` or `test`.

    Returns:
      What was found.

    Raises:
      Failure: If a loss is not finite.
    """
    experiment = self._experiment
    if self._zeros is None:
      self._zeros = experiment.zero_sums(experiment.eval_metric)
    if split not in self._feeds:
      self._feeds.update(self._make_feeds(split))
    num_steps = batches.num_eval_steps(
        self._dataset.num_examples[split], self._batch_size
    )
    sums, taken = self._feeds[split](state, self._zeros, 0, num_steps)
    values = training.summarize(experiment.eval_metric, sums)
    if not bool(tf.math.is_finite(values['loss'])):
      raise programs.Failure(
          f'the loss of batch {int(taken)} of {num_steps} of the {split} split '
          'is not finite.'
      )
    return Scored(
        split=split,
        num_examples=round(float(sums['weight'])),
        values=scalars(values),
        per_class=per_class(values, experiment.data.label_names),
        confusion_matrix=confusion.to_json(values['confusion_matrix']),
    )

  def _make_feeds(self, split: str) -> dict[str, feeds.Feed]:
    if not self._is_resident:
      data = self._dataset.split(split)
      feed = feeds.Streaming(self._step, self._strategy).over(
          data,
          lambda start, place: batches.eval_batches(
              data, global_batch_size=self._batch_size, **place
          ),
      )
      return {split: feed}
    # What a run scores lies in one place, so that one program serves all of it.
    splits = [name for name in self._dataset.num_examples if name != 'train']
    splits = splits if split in splits else [split]
    arrays = [_arrays(self._dataset.split(name)) for name in splits]
    resident = feeds.Resident(
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
                examples.eval_rows(
                    stop - size, stop, self._batch_size, num_steps
                ),
            )
        )
        for name, size, stop in zip(splits, sizes, stops, strict=True)
    }


def _arrays(data: splits.Split) -> dict[str, np.ndarray]:
  assert isinstance(data, examples.Examples)  # One budget holds for all splits.
  return data.arrays


def _place(rows: tf.Tensor, step: int) -> tuple[tf.Tensor, int, int]:
  """Returns where a step's batch is: the rows, the row, the epoch."""
  return rows, step, 0


def scalars(values: Mapping[str, Any]) -> dict[str, float]:
  """Takes the numbers out of a summary, leaving vectors and matrices."""
  return {
      name: float(value)
      for name, value in values.items()
      if not value.shape.rank
  }


def per_class(
    values: Mapping[str, Any], label_names: tuple[str, ...]
) -> dict[str, dict[str, float]]:
  """Regroups the vectors of a summary: class name -> metric -> value."""
  vectors = {
      name: value.numpy() for name, value in values.items()
      if value.shape.rank == 1
  }
  return {
      label: {name: float(vector[i]) for name, vector in vectors.items()}
      for i, label in enumerate(label_names)
  }
