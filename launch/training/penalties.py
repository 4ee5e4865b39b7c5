"""Penalties on weights, for any objective."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from core import losses, objectives


def penalised(
    objective: objectives.Objective, l1: float, l2: float
) -> objectives.Objective:
  """Penalizes weights, but not biases and scales, which have one axis.

  Args:
    objective: Any objective.
    l1: The factor of the sum of absolute weights.
    l2: The factor of the sum of squared weights.

  Returns:
    An objective with these penalties.
  """
  if not l1 and not l2:
    return objective

  def penalised_objective(
      model: Any,
      batch: objectives.Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> objectives.Evaluation:
    evaluation = objective(model, batch, seed, is_training)
    weights = [v for v in model.trainable_variables if v.shape.rank > 1]
    penalty = losses.l1_penalty(weights, scale=l1) + losses.l2_penalty(
        weights, scale=l2
    )
    return evaluation._replace(penalty=evaluation.penalty + penalty)

  return penalised_objective
