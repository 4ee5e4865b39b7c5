"""Finds the examples of a batch whose loss is not finite."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from core import objectives, variables

from .. import experiment as experiment_lib


def find(
    experiment: experiment_lib.Experiment, batch: objectives.Batch
) -> list[int]:
  """Evaluates each example of a batch, without augmentation or dropout.

  This runs eagerly: in a graph, the kernel that joins a product with `relu`
  turns NaN into 0.

  Args:
    experiment: The parts of the run, with finite weights.
    batch: The batch, with its `index`.

  Returns:
    The positions in their split of the examples whose loss is not finite.
    Empty if all losses are not finite: then the weights are the cause.
  """
  found = experiment.objective(experiment.model, batch, None, is_training=False)
  values = found.values
  if found.weights is not None:  # Losses with weight 0 are ignored.
    values = tf.where(found.weights > 0, values, tf.zeros_like(values))
  axes = list(range(1, values.shape.rank))
  is_finite = tf.reduce_all(tf.math.is_finite(values), axis=axes).numpy()
  if not is_finite.any():
    return []
  index = batch['index'].numpy()
  return sorted(set(index[~is_finite].tolist()))


def find_without_weights(
    experiment: experiment_lib.Experiment, batch: objectives.Batch
) -> list[int]:
  """Like `find`, for weights that are not finite or too large.

  Such weights would break every loss, so the trainable ones are first set to 0,
  in place. Values in an example that are not finite stay so, even times 0.
  """
  for variable in variables.named(experiment.model).values():
    if variable.dtype.is_floating:
      value = variable.numpy()
      keeps = np.isfinite(value) & (not variable.trainable)
      variable.assign(np.where(keeps, value, np.zeros_like(value)))
  return find(experiment, batch)
