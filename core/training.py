"""The train state, the train step and the evaluation step.

    state = TrainState(model, optimizer, seed=0)
    train_step = make_train_step(objective, optimizer, metric, strategy)
    sums = train_step(state, batch)

The rule that makes a step exact on any number of replicas, with padding and
with replicas that have no example at all: sum of per-example losses over all
replicas / sum of weights over all replicas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from . import (
  averaging,
  compilation,
  distribution,
  loss_scaling,
  measuring,
  metrics,
  objectives,
  optimizers,
  random,
  skipping,
  variables,
)
from .optimizers import finiteness, nests

Sums = measuring.Sums


class Step(Protocol):
  """A `tf.function` from a state and a batch to sums."""

  def __call__(self, state: TrainState, batch: objectives.Batch) -> Sums:
    """Runs the step."""

  def experimental_get_tracing_count(self) -> int:
    """Tells how often the step was traced."""


class TrainState(tf.Module):
  """Everything that a run needs in order to continue, and nothing else.

  Make it under the scope of the strategy, after the model was built.

  Attributes:
    model: The model.
    parameters: The model's trainable variables by path.
    optimizer_state: A nest of variables, as `optimizer.init` shapes it.
    step: The number of steps taken, an int64 variable ``[]``.
    seed: The seed of the run, an int32 variable ``[2]``.
    average: The `ModelAverage` of the model, or None.
    loss_scale: The `LossScale` of variables, or None.
    skipped: The `skipping.Skipped` of variables, or None where no step can be
      skipped: without a loss scale and `optimizers.apply_if_finite`.
  """

  def __init__(
      self,
      model: tf.Module,
      optimizer: optimizers.GradientTransformation,
      seed: int = 0,
      *,
      average_decay: float | None = None,
      loss_scale: loss_scaling.LossScale | None = None,
  ):
    """Makes the state of a run that has taken no step.

    Args:
      model: A module whose variables exist.
      optimizer: The optimizer whose state is kept.
      seed: The seed of all randomness of the steps. Initial weights are older
        than the state: for equal ones, call `tf.random.set_seed` before the
        model is built.
      average_decay: The rate of an average of the weights, in [0, 1), which
        every step updates; None has none.
      loss_scale: The loss scale to begin with, for float16; None has none.

    Raises:
      ValueError: If the model has no trainable variables, or the rate is out of
        range.
    """
    super().__init__(name='train_state')
    self.model = model
    self.parameters = variables.trainable(model)
    if not self.parameters:
      raise ValueError(
          'model: it has no trainable variables; call model.build(input_shape) '
          'before making its TrainState.'
      )
    optimizer_state = optimizer.init(self.parameters)
    self.optimizer_state = tf.nest.map_structure(_variable, optimizer_state)
    self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.seed = tf.Variable([0, seed], dtype=tf.int32, trainable=False)
    self.average = self.loss_scale = self.skipped = None
    if average_decay is not None:
      self.average = averaging.ModelAverage(model, average_decay)
    if loss_scale is not None:
      self.loss_scale = tf.nest.map_structure(_variable, loss_scale)
    if loss_scale is not None or finiteness.skips(optimizer_state):
      self.skipped = tf.nest.map_structure(_variable, skipping.init())

  def named_variables(self) -> dict[str, tf.Variable]:
    """Returns all variables by path: `model/...`, `optimizer/...`, `step`."""
    return variables.named({
        'model': self.model,
        'optimizer': self.optimizer_state,
        'step': self.step,
        'seed': self.seed,
        # What its model shares with the model is listed there.
        'average': self.average
        and {'count': self.average.count, 'model': self.average.parameters},
        'loss_scale': self.loss_scale,
        'skipped': self.skipped,
    })


def make_train_step(
    objective: objectives.Objective,
    optimizer: optimizers.GradientTransformation,
    metric: metrics.Metric,
    strategy: tf.distribute.Strategy | None = None,
    extent: compilation.Extent = compilation.Extent.NONE,
) -> Step:
  """Makes the train step: gradients, one all-reduce, the optimizer's update.

  Args:
    objective: What is minimised.
    optimizer: The optimizer that the state was made with.
    metric: What is measured on the way.
    strategy: The strategy that the state was made under.
    extent: What of the step XLA compiles; see `compilation.choose`. A `LOOP`
      is compiled by who makes the loop.

  Returns:
    A `tf.function` from the state and a (distributed) batch to sums over the
    batch's examples; `summarize` turns sums into values. It takes the step
    in place, in the state's variables. A batch is a mapping with `label`,
    `weight` float32 ``[batch_size]`` and the model's inputs. In examples of
    weight 0 zeros stand for NaN and infinities.

    A step whose gradients are not finite is skipped if the state has a loss
    scale, or if an `optimizers.apply_if_finite` anywhere in the optimizer skips
    it. It changes `step`, the loss scale and the counts of what was skipped,
    and no other bit: the average and the model's variables that are not trained
    are as before it, too. Its sums are those of its batch if all of them are
    finite, and else zeros, so that a loss that is not finite is always that of
    a step that was taken.
  """
  strategy = strategy or tf.distribute.get_strategy()

  @_compiled_if(extent == compilation.Extent.PARTS)
  def gradients_of(state: TrainState, batch: objectives.Batch) -> Any:
    seed = random.fold_in(state.seed, state.step)
    batch = measuring.without_garbage(batch)
    with tf.GradientTape() as tape:
      evaluation = objective(state.model, batch, seed, is_training=True)
      loss, sums = measuring.measure(metric, evaluation, batch)
      if state.loss_scale is not None:
        loss = loss_scaling.scale(loss, state.loss_scale)
    gradients = tape.gradient(
        loss, state.parameters, unconnected_gradients='zero'
    )
    # Sparse gradients are summed as dense.
    return tf.nest.map_structure(tf.convert_to_tensor, gradients), sums

  @_compiled_if(extent in (compilation.Extent.UPDATE, compilation.Extent.PARTS))
  def update(
      state: TrainState, gradients: Any, weight: tf.Tensor, untrained: Any
  ) -> tf.Tensor | None:
    # Not a division of each gradient: XLA gives those a pass of their own.
    factor = tf.math.divide_no_nan(1.0, weight)
    gradients = tf.nest.map_structure(
        lambda g: g * tf.cast(factor, g.dtype), gradients
    )
    parameters, optimizer_state = before = _values(
        (state.parameters, state.optimizer_state)
    )
    if state.loss_scale is not None:
      gradients = loss_scaling.unscale(gradients, state.loss_scale)
    updates, optimizer_state = optimizer.update(
        gradients, optimizer_state, parameters
    )
    parameters = optimizers.apply_updates(parameters, updates)
    is_skipped = None
    if state.skipped is not None:
      is_skipped, loss_scale = skipping.decide(
          gradients, optimizer_state, state.loss_scale
      )
      _assign(state.loss_scale or (), loss_scale)
      _assign(state.skipped, skipping.count(state.skipped, is_skipped))
      parameters = nests.where(is_skipped, before[0], parameters)
      optimizer_state = finiteness.undo(is_skipped, optimizer_state, before[1])
      now = variables.untrained(state.model)
      _assign(now, nests.where(is_skipped, untrained, now))
    _assign(state.parameters, parameters)
    _assign(state.optimizer_state, optimizer_state)
    if state.average is not None:
      state.average.update(parameters, is_skipped)
    state.step.assign_add(1)
    return is_skipped

  def replica_step(state: TrainState, batch: objectives.Batch) -> Sums:
    untrained = {}
    if state.skipped is not None:  # What the forward pass changes.
      untrained = _values(variables.untrained(state.model))
    # One collective for everything.
    gradients, sums = distribution.all_reduce_sum(gradients_of(state, batch))
    is_skipped = update(state, gradients, sums['weight'], untrained)
    return sums if is_skipped is None else skipping.measured(sums, is_skipped)

  @_graph(jit_compile=extent == compilation.Extent.STEP)
  def train_step(state: TrainState, batch: objectives.Batch) -> Sums:
    sums = strategy.run(replica_step, (state, batch))
    return distribution.first_replica(strategy, sums)

  return train_step


def make_eval_step(
    objective: objectives.Objective,
    metric: metrics.Metric,
    strategy: tf.distribute.Strategy | None = None,
    use_average: bool = False,
    extent: compilation.Extent = compilation.Extent.NONE,
) -> Step:
  """Makes the evaluation step, which measures and changes nothing.

  Args:
    objective: What the loss is computed with.
    metric: What is measured.
    strategy: The strategy that the state was made under.
    use_average: Whether to evaluate the average of the weights. A state that
      has none raises ValueError then.
    extent: What of the step XLA compiles, as for the train step; there is no
      update.

  Returns:
    A `tf.function` from the state and a (distributed) batch to sums.
  """
  strategy = strategy or tf.distribute.get_strategy()

  @_compiled_if(extent == compilation.Extent.PARTS)
  def measure(state: TrainState, batch: objectives.Batch) -> Sums:
    model = state.model
    if use_average:
      if state.average is None:
        raise ValueError(
            'use_average: the state has no average; make it by TrainState(..., '
            'average_decay=0.999).'
        )
      model = state.average.model
    batch = measuring.without_garbage(batch)
    evaluation = objective(model, batch, None, is_training=False)
    return measuring.measure(metric, evaluation, batch)[1]

  def replica_step(state: TrainState, batch: objectives.Batch) -> Sums:
    return distribution.all_reduce_sum(measure(state, batch))

  @_graph(jit_compile=extent == compilation.Extent.STEP)
  def eval_step(state: TrainState, batch: objectives.Batch) -> Sums:
    sums = strategy.run(replica_step, (state, batch))
    return distribution.first_replica(strategy, sums)

  return eval_step


def trace(
    objective: objectives.Objective, model: tf.Module, batch: objectives.Batch
) -> tf.types.experimental.ConcreteFunction:
  """Traces a forward pass, without running it.

  Args:
    objective: The objective of the step.
    model: The model, built.
    batch: An example batch of any values, undistributed; only names, types and
      sizes beyond the first axis matter.

  Returns:
    A concrete function of the batch, to an `objectives.Evaluation`. What
    `zero_sums` and `compilation.choose_for` want to know is read off it.
  """

  @_graph()
  def forward(batch: objectives.Batch) -> objectives.Evaluation:
    return objective(model, batch, None, is_training=False)

  return forward.get_concrete_function(
      tf.nest.map_structure(tf.convert_to_tensor, dict(batch))
  )


def zero_sums(
    metric: metrics.Metric, forward: tf.types.experimental.ConcreteFunction
) -> Sums:
  """Returns the sums of no example, to start a loop from.

  Args:
    metric: The metric of the step.
    forward: A forward pass of the step, as `trace` returns it.

  Returns:
    A nest of float64 zeros: batches are summed in float64, which counts
    exactly far beyond the 2^24 of float32.
  """
  (batch,), _ = forward.structured_input_signature

  @_graph()
  def measure(evaluation: objectives.Evaluation, batch: Any) -> Sums:
    return measuring.measure(metric, evaluation, batch)[1]

  specs = tf.nest.map_structure(
      lambda value: tf.TensorSpec(value.shape, value.dtype),
      (forward.structured_outputs, batch),
  )
  return tf.nest.map_structure(
      lambda value: tf.zeros(value.shape, tf.float64),
      measure.get_concrete_function(*specs).structured_outputs,
  )


def summarize(metric: metrics.Metric, sums: Sums) -> dict[str, tf.Tensor]:
  """Turns the sums of a step or a loop into values.

  Args:
    metric: The collection of metrics that the step was made with.
    sums: What the step or the loop returned.

  Returns:
    `loss`, the mean over examples with the penalty in it, and each metric by
    its name.
  """
  mean = tf.math.divide_no_nan(sums['loss'], sums['weight'])
  return {'loss': mean, **metric.compute(sums['metrics'])}


def _graph(jit_compile: bool = False) -> Callable[[Any], Any]:
  # AutoGraph would take longer to read the library than the first step takes.
  return tf.function(autograph=False, jit_compile=jit_compile or None)


def _compiled_if(condition: bool) -> Callable[[Any], Any]:
  return _graph(jit_compile=True) if condition else lambda function: function


def _variable(value: tf.Tensor) -> tf.Variable:
  return tf.Variable(value, trainable=False)


def _values(variables: Any) -> Any:
  return tf.nest.map_structure(tf.convert_to_tensor, variables)


def _assign(targets: Any, values: Any) -> None:
  tf.nest.map_structure(
      lambda target, value: target.assign(value), targets, values
  )
