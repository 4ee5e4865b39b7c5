"""Histograms of weights and gradients for TensorBoard, on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from core import (
    assignments,
    loss_scaling,
    measuring,
    micro_batches,
    objectives,
    padding,
    random,
    training,
    updating,
    variables,
)

from .. import loop
from . import summaries

Batches = Callable[[int], objectives.Batch]


class Histograms(loop.Hook):
  """Writes histograms of the weights and of the next batch's gradients.

  The gradients are computed separately, outside the training loop, so that the
  graph and the results of the run do not change.
  """

  name = 'histograms'

  def __init__(
      self,
      now: loop.Now,
      board: summaries.Summaries,
      state: training.TrainState,
      objective: objectives.Objective,
      batch_of: Batches,
      *,
      micro_batch_size: int,
      every_steps: int,
  ):
    """Prepares the gradient function.

    Args:
      now: The progress of the run.
      board: TensorBoard's files.
      state: The train state.
      objective: The objective that is minimized.
      batch_of: A function from a number of steps taken to the next batch.
      micro_batch_size: How many of its examples fit into memory.
      every_steps: The steps between histograms; 0 disables them.
    """
    self._now = now
    self._board = board
    self._state = state
    self._batch_of = batch_of
    self._every_steps = every_steps
    self._gradients = gradients(state, objective, micro_batch_size)

  def next(self, step: int) -> int:
    """Returns the step of the next histograms."""
    return self._now.at.next(step, self._every_steps or self._now.at.num_steps)

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Writes histograms and norms; every worker computes them."""
    if not self._every_steps:
      return
    gradients = self._gradients(self._batch_of(step))
    weights = {
        path: tf.convert_to_tensor(each)
        for path, each in self._state.parameters.items()
    }

    def write() -> None:
      for kind, found in (('weight', weights), ('gradient', gradients)):
        for path, value in found.items():
          tf.summary.histogram(f'{kind}s/{path}', value)
        floats = [tf.cast(each, tf.float32) for each in found.values()]
        tf.summary.scalar(f'{kind}_norm', tf.linalg.global_norm(floats))

    self._board.call(step, 'train', write)


def gradients(
    state: training.TrainState,
    objective: objectives.Objective,
    micro_batch_size: int,
) -> Callable[[objectives.Batch], dict[str, tf.Tensor]]:
  """Returns a function from a global batch to its unclipped gradients.

  They are computed on one device.
  """

  def of_part(
      batch: objectives.Batch, place: random.Place | None, assigned: Any
  ) -> tuple[Any, Any]:
    is_padded = 'weight' in batch
    batch = measuring.without_garbage(batch, is_padded)
    untrained = variables.untrained(state.model)
    with (
        random.at(place),
        padding.of(batch.get('weight')),
        assignments.collected(untrained, assigned) as assigned,
        tf.GradientTape() as tape,
    ):
      seed = random.fold_in(state.seed, state.step)
      evaluation = objective(state.model, batch, seed, is_training=True)
      loss, sums = measuring.measure(None, evaluation, batch, is_padded)
      if state.loss_scale is not None:
        loss = loss_scaling.scale(loss, state.loss_scale)
    gradients = updating.dense(
        tape.gradient(loss, state.parameters),
        state.parameters,
        may_be_none=True,
    )
    return (gradients, sums['weight']), assigned

  @tf.function(autograph=False)
  def gradients_of(batch: objectives.Batch) -> dict[str, tf.Tensor]:
    batch, _ = padding.split(batch)
    (gradients, weight), _ = micro_batches.add_up(
        of_part, batch, micro_batch_size
    )
    if state.loss_scale is not None:
      gradients = loss_scaling.unscale(gradients, state.loss_scale)
    return {
        path: tf.math.divide_no_nan(each, tf.cast(weight, each.dtype))
        for path, each in gradients.items()
    }

  return gradients_of
