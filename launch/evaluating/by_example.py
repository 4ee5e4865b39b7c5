"""Applies a run's model to a split, example by example, on one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from core import objectives
from pipelines import batches, splits

from .. import experiment as experiment_lib

Arrays = dict[str, np.ndarray]
Measure = Callable[
    [objectives.Batch, objectives.Evaluation], dict[str, tf.Tensor]
]


def measuring(
    experiment: experiment_lib.Experiment,
    model: Any,
    function: Measure,
    batch_size: int,
) -> Callable[[splits.Split], Iterator[tuple[Arrays, Arrays]]]:
  """Returns a function that measures each example of a split once, in order.

  Args:
    experiment: The parts of the run.
    model: The model, or its average.
    function: A function of a batch and its evaluation by the objective, which
      returns columns ``[batch_size, ...]``. It is traced once.
    batch_size: The number of examples per batch.

  Returns:
    A function of a split, which yields, for each batch, the features of the
    examples (including `index`) and the columns.
  """

  @tf.function(autograph=False)
  def evaluate(batch: objectives.Batch) -> dict[str, tf.Tensor]:
    found = experiment.objective(model, batch, None, is_training=False)
    return function(batch, found)

  def measured(data: splits.Split) -> Iterator[tuple[Arrays, Arrays]]:
    for batch in batches.eval_batches(data, global_batch_size=batch_size):
      is_real = batch['weight'].numpy() > 0
      found = evaluate(batch)
      yield (
          {name: value.numpy()[is_real] for name, value in batch.items()},
          {name: value.numpy()[is_real] for name, value in found.items()},
      )

  return measured
