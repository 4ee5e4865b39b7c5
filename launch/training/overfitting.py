"""Trains on one batch until its loss is near the lowest possible.

A model, a loss and labels that fit each other can memorize one batch; if they
cannot, a run is futile. Steps are those of the run, including dropout, but
without what keeps the loss up: augmentation, penalties and weight averages are
off, and the learning rate is constant.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from core import objectives, optimizers, schedules
from pipelines import batches, datasets

from .. import building, programs
from .. import config as config_lib
from .. import experiment as experiment_lib
from ..evaluating import evaluation
from . import data_loops, preparing

NUM_STEPS = 1_000
# The steps between evaluations of the loss.
_CALL = 10
# The fraction of the initial gap to the lowest loss that may remain.
_LEFT = 0.01
_OFF: dict[str, Any] = dict(
    random_flip='none',
    max_shift=0,
    random_erasing=0.0,
    augment=None,
    augment_arg={},
    l1_penalty=0.0,
    l2_penalty=0.0,
    ema_decay=None,
    schedule='constant',
    schedule_arg={},
    plateau_patience=None,
)
_DESCENT_STEPS = 1_000
# A descent has reached a minimum if its gradient shrank to this fraction.
_FLAT = 0.01


def run(config: config_lib.Config) -> None:
  """Trains on the first batch of a run, and prints the loss.

  Args:
    config: The config; it needs no work directory.

  Raises:
    UserError: If the run could not begin.
    Failure: If the loss stays too high, or is not finite.
  """
  plain = dataclasses.replace(config, **_OFF)
  changed = config_lib.changes(config.to_json(), plain.to_json())
  config, scope = preparing.alone(plain, '--overfit_batch')
  experiment, dataset = preparing.prepare(config)
  if changed:
    programs.note(f'--overfit_batch ignores --{", --".join(changed)}.')
  data = dataset.split('train')
  [batch] = batches.train_batches(
      data,
      seed=config.seed,
      global_batch_size=config.global_batch_size,
      num_steps=1,
  )
  arrays = {name: batch[name].numpy() for name in data.spec}
  one = datasets.of_arrays('batch', {'train': arrays}, data.spec)
  state = building.fresh(experiment, data, scope)
  extent = experiment.extent(scope, is_resident=True)
  rows = tf.tile(tf.range(config.global_batch_size)[tf.newaxis], [_CALL, 1])
  data_loop = data_loops.ResidentLoops(
      building.make_step(experiment, scope, extent),
      scope,
      extent,
      arrays,
      is_full=True,
  ).over(lambda step: (rows, 0, 0))
  evaluator = evaluation.Evaluator(experiment, one, scope)
  first = loss = evaluator.run(state, 'train').values['loss']
  lowest = _lowest(experiment, batch)
  enough = lowest + _LEFT * max(first - lowest, 0)
  print(
      f'One batch of {config.global_batch_size} examples: the loss is '
      f'{first:.4f}, the lowest known {lowest:.4f}.',
      flush=True,
  )
  zeros = experiment.zero_sums(experiment.train_metric)
  step, most, told = 0, config.num_steps or NUM_STEPS, 1
  while loss > enough and step < most:
    size = min(_CALL, most - step)
    sums, taken = data_loop(state, zeros, 0, size)
    step += int(taken)
    trained = float(sums['loss'] / sums['weight'])
    if int(taken) < size or not math.isfinite(trained):
      raise programs.Failure(
          f'--overfit_batch: the loss of step {step} is not finite; a smaller '
          '--learning_rate may help.'
      )
    scored = evaluator.run(state, 'train').values
    # Evaluation uses lagging averages of batch norm, training has dropout.
    loss = min(trained, scored['loss'])
    if step >= 2 * told or loss <= enough or step == most:
      told = step
      print(f'step {step}: loss {loss:.4f}', flush=True)
  far = (
      f'the loss of one batch went from {first:.4f} to {loss:.4f} in {step} '
      f'steps; the lowest known is {lowest:.4f}'
  )
  if loss > enough:
    raise programs.Failure(
        f'--overfit_batch: {far}; expected {enough:.4f}. Try another '
        '--learning_rate, model or loss, and look for labels that contradict '
        'each other.'
    )
  print(f'--overfit_batch: {far}; it is learned. Nothing was written.')


def _lowest(
    experiment: experiment_lib.Experiment, batch: objectives.Batch
) -> float:
  """Finds the lowest loss of any outputs; label smoothing raises it above 0.

  Gradient descent treats the outputs of the model as variables.

  Args:
    experiment: The parts of the run, built.
    batch: The batch.

  Returns:
    The loss, or 0 if the descent finds no minimum, or the objective needs more
    of the model than its outputs.
  """
  model = experiment.model
  optimizer = optimizers.adam(
      schedules.exponential_decay(1.0, _DESCENT_STEPS, 1e-3)
  )

  class Free:
    """The model, with other outputs."""

    def __init__(self, outputs: Any):
      self.outputs = outputs

    def __call__(self, inputs: Any) -> Any:
      return self.outputs

    def __getattr__(self, name: str) -> Any:
      return getattr(model, name)

  def loss_and_slopes(free: Any) -> tuple[tf.Tensor, Any]:
    with tf.GradientTape() as tape:
      tape.watch(free)
      outputs = free
      if fixed:  # The minimum of losses inside the model is 0.
        outputs = {**free, 'losses': fixed}
      found = experiment.task.objective(
          Free(outputs), batch, None, is_training=False
      )
      weights = tf.ones_like(found.values)
      if found.weights is not None:
        weights = tf.broadcast_to(found.weights, found.values.shape)
      loss = tf.reduce_sum(found.values * weights) / tf.reduce_sum(weights)
    slopes = tape.gradient(
        loss, free, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return loss, slopes

  @tf.function(autograph=False)
  def descend(free: Any) -> tuple[tf.Tensor, ...]:
    _, first = loss_and_slopes(free)

    def step(count: tf.Tensor, free: Any, moments: Any) -> Any:
      _, slopes = loss_and_slopes(free)
      updates, moments = optimizer.update(slopes, moments, free)
      return count + 1, optimizers.apply_updates(free, updates), moments

    _, free, _ = tf.while_loop(
        lambda count, *_: count < _DESCENT_STEPS,
        step,
        (tf.constant(0), free, optimizer.init(free)),
    )
    loss, last = loss_and_slopes(free)
    return loss, _norm(first), _norm(last)

  try:
    outputs = experiment.task.outputs(batch)
    inner = outputs.get('losses', {}) if isinstance(outputs, Mapping) else {}
    fixed = tf.nest.map_structure(tf.zeros_like, inner)
    free = tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), outputs)
    if fixed:
      free = {name: free[name] for name in free if name != 'losses'}
    loss, first, last = map(float, descend(free))
  except Exception:  # A custom objective may need more.
    return 0.0
  return max(loss, 0.0) if last <= _FLAT * first else 0.0


def _norm(nest: Any) -> tf.Tensor:
  return tf.linalg.global_norm(tf.nest.flatten(nest))
