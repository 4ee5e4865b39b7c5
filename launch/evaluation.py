"""Scores a split: every example exactly once."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from core import training
from pipelines import batches, sources

from . import experiment as experiment_lib
from . import programs


@dataclasses.dataclass(frozen=True)
class Scored:
  """What an evaluation found.

  Attributes:
    split: The split.
    num_examples: How many examples were scored, by the sum of their weights.
    values: Each scalar metric and the loss, by name.
    per_class: Precision, recall and F1 of each class, by the class's name.
    confusion_matrix: Counts, `[num_classes, num_classes]`, a row for each true
      class.
  """

  split: str
  num_examples: int
  values: dict[str, float]
  per_class: dict[str, dict[str, float]]
  confusion_matrix: list[list[int]]

  def to_json(self) -> dict[str, Any]:
    """Returns the values as JSON has them."""
    return dataclasses.asdict(self)


class Evaluator:
  """Scores splits of a data set with a train state's model."""

  def __init__(
      self,
      experiment: experiment_lib.Experiment,
      dataset: sources.ImageDataset,
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
    # Weights may be scored on other numbers of replicas than trained on.
    replicas = strategy.num_replicas_in_sync
    self._batch_size = replicas * -(
        -experiment.config.global_batch_size // replicas
    )
    self._step = training.make_eval_step(
        experiment.objective, experiment.eval_metric, strategy, use_average
    )
    self._loop = training.make_loop(self._step)
    self._zeros = None
    self._datasets: dict[str, Any] = {}

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
    if split not in self._datasets:
      self._datasets[split] = self._batches(split)
    num_steps = batches.num_eval_steps(
        self._dataset.num_examples[split], self._batch_size
    )
    sums, taken = self._loop(
        state,
        iter(self._datasets[split]),
        self._zeros,
        tf.constant(num_steps),
    )
    values = training.summarize(experiment.eval_metric, sums)
    if not bool(tf.math.is_finite(values['loss'])):
      raise programs.Failure(
          f'the loss of batch {int(taken)} of {num_steps} of the {split} split '
          'is not finite.'
      )
    return Scored(
        split=split,
        num_examples=round(float(sums['weight'])),
        values=experiment_lib.scalars(values),
        per_class=experiment_lib.per_class(
            values, experiment.data.label_names
        ),
        confusion_matrix=tf.cast(values['confusion_matrix'], tf.int64)
        .numpy()
        .tolist(),
    )

  def _batches(self, split: str) -> Any:
    data = self._dataset.examples(split)
    return self._strategy.distribute_datasets_from_function(
        lambda context: batches.eval_batches(
            data,
            global_batch_size=self._batch_size,
            num_replicas=context.num_replicas_in_sync,
            num_workers=context.num_input_pipelines,
            worker=context.input_pipeline_id,
        )
    )
