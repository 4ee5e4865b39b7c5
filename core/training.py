"""The train state, the train step and the evaluation step.

    state = TrainState(model, optimizer, seed=0)
    train_step = make_train_step(objective, optimizer, metric, strategy)
    sums = train_step(state, batch)

The rule that makes a step exact on any number of replicas, with padding and
with replicas that have no example at all: sum of per-example losses over all
replicas / sum of weights over all replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import tensorflow as tf

from . import (
  assignments,
  belonging,
  checks,
  compilation,
  distribution,
  effects,
  loss_scaling,
  measuring,
  metrics,
  micro_batches,
  objectives,
  optimizers,
  padding,
  random,
  skipping,
  tracing,
  train_state,
  updating,
  variables,
)
from .optimizers import foreign

Sums = measuring.Sums
TrainState = train_state.TrainState
trace = tracing.trace
zero_sums = tracing.zero_sums
zero_sums_of = tracing.zero_sums_of


class Step(Protocol):
  """A `tf.function` from a state and a batch to sums."""

  def __call__(self, state: TrainState, batch: objectives.Batch) -> Sums:
    """Runs the step."""

  def experimental_get_tracing_count(self) -> int:
    """Tells how often the step was traced."""


def make_train_step(
    objective: objectives.Objective,
    optimizer: optimizers.GradientTransformation,
    metric: metrics.Metric | None,
    strategy: tf.distribute.Strategy | None = None,
    extent: compilation.Extent = compilation.Extent.NONE,
    after: updating.After | None = None,
    *,
    micro_batch_size: int | None = None,
) -> Step:
  """Makes the train step: gradients, one all-reduce, the optimizer's update.

  Args:
    objective: What is minimised.
    optimizer: The optimizer that the state was made with.
    metric: What is measured on the way; None for the loss alone.
    strategy: The strategy that the state was made under.
    extent: What of the step XLA compiles; see `compilation.choose`. A `LOOP`
      is compiled by who makes the loop.
    after: A function of the state, whose parameters are the new ones already,
      and of the sums over all replicas of `Evaluation.statistics`. It returns
      new values for variables of the model that are not trained, such as
      codebooks, centres and target networks, by their paths in
      `variables.named(state.model)`.
    micro_batch_size: How many examples of its part of a batch a replica takes
      at a time, to spare memory; None takes all. The gradients are those of the
      whole batch to rounding. Only what compares examples, as batch norm and
      in-batch losses do, sees those of a micro-batch alone.

  Returns:
    A `tf.function` from the state and a (distributed) batch to sums over the
    batch's examples; `summarize` turns sums into values. It takes the step
    in place, in the state's variables. A batch is a mapping, see
    `objectives.Batch`. In examples of weight 0 zeros stand for NaN and
    infinities.

    The forward pass assigns nothing: what modules such as `layers.BatchNorm`
    would assign, the step assigns at its end, see `assignments`.

    A step whose gradients are not finite is skipped if the state has a loss
    scale, or if an `optimizers.apply_if_finite` anywhere in the optimizer skips
    it. It changes `step`, the loss scale and the counts of what was skipped,
    and no other bit: the average and the model's variables that are not trained
    are as before it, too. Its sums are those of its batch if all of them are
    finite, and else zeros, so that a loss that is not finite is always that of
    a step that was taken.

  Raises:
    TypeError: If the metric or the optimizer is none of ours.
    ValueError: If the size of micro-batches is not positive. The step raises it
      if the state or the batch is none of the strategy's, if the model has made
      more parameters since, or if the loss depends on none.
  """
  foreign.check_transformation('optimizer', optimizer)
  _check_metric(metric)
  strategy = strategy or tf.distribute.get_strategy()
  belonging.check_compiled(extent, strategy)
  if micro_batch_size is not None:
    checks.size('micro_batch_size', micro_batch_size)

  @_compiled_if(extent == compilation.Extent.PARTS)
  def gradients_of(
      state: TrainState,
      batch: objectives.Batch,
      is_padded: bool,
      start: Any,
      place: Any,
      assigned: Any,
  ) -> tuple[Any, Any]:
    seed = random.fold_in(state.seed, state.step)
    batch = measuring.without_garbage(batch, is_padded)
    untrained = variables.untrained(state.model)
    num_before = effects.count()
    with (
        random.starting(start),
        random.at(place),
        padding.of(batch.get('weight') if is_padded else None),
        assignments.collected(untrained, assigned) as assigned,
        tf.GradientTape() as tape,
    ):
      evaluation = objective(state.model, batch, seed, is_training=True)
      loss, sums = measuring.measure(metric, evaluation, batch, is_padded)
      belonging.check_parameters(state.model, state.parameters)
      if state.loss_scale is not None:
        loss = loss_scaling.scale(loss, state.loss_scale)
    statistics = updating.values(evaluation.statistics)
    gradients = updating.dense(
        tape.gradient(loss, state.parameters),
        state.parameters,
        may_be_none=bool(tf.nest.flatten(statistics)),
    )
    operations = effects.since(num_before)
    belonging.check_assigned(
        state.model,
        operations,
        assigned,
        batch,
        strategy.num_replicas_in_sync,
    )
    if failing := effects.assertions(operations):
      # All that the step assigns waits for the weight, see `updating.update`.
      with tf.control_dependencies(failing):
        sums = {**sums, 'weight': tf.identity(sums['weight'])}
    return (gradients, sums, statistics), assigned

  @_compiled_if(extent in (compilation.Extent.UPDATE, compilation.Extent.PARTS))
  def update(
      state: TrainState,
      gradients: Any,
      weight: tf.Tensor,
      untrained: Any,
      assigned: Any,
      statistics: Any,
      is_asserted: bool,
  ) -> tf.Tensor | None:
    return updating.update(
        state, optimizer, gradients, weight, untrained, assigned, statistics,
        after, is_asserted,
    )

  def replica_step(
      state: TrainState, batch: objectives.Batch, is_even: bool, reduces: bool
  ) -> Sums:
    measuring.check_batch(batch)
    batch, is_padded = padding.split(batch)
    start = None if is_even else belonging.first_row(batch)
    untrained = updating.before_forward(state)
    num_before = effects.count()
    if micro_batch_size is None:
      added, assigned = gradients_of(state, batch, is_padded, start, None, None)
    else:
      added, assigned = micro_batches.add_up(
          lambda part, *place: gradients_of(state, part, True, start, *place),
          batch,
          micro_batch_size,
          reduces=reduces,
      )
    is_asserted = bool(effects.assertions(effects.since(num_before)))
    # One collective for everything.
    gradients, sums, statistics = distribution.all_reduce_sum(added)
    is_skipped = update(
        state, gradients, sums['weight'], untrained, assigned, statistics,
        is_asserted,
    )
    return sums if is_skipped is None else skipping.measured(sums, is_skipped)

  @_graph(jit_compile=extent == compilation.Extent.STEP)
  def train_step(state: TrainState, batch: objectives.Batch) -> Sums:
    parts = {
        'model': state.model,
        'optimizer': state.optimizer_state,
        'average': state.average,
        'step': state.step,
    }
    belonging.check_state(parts, strategy)
    belonging.check_batch(batch, strategy)
    is_even = belonging.is_even(batch, strategy)
    reduces = (
        strategy.num_replicas_in_sync > 1
        and compilation.reduces_over_replicas(state.model)
    )
    if reduces:
      belonging.check_reducing(batch, extent, micro_batch_size)
    sums = strategy.run(replica_step, (state, batch, is_even, reduces))
    return distribution.first_replica(strategy, sums)

  return train_step


def make_eval_step(
    objective: objectives.Objective,
    metric: metrics.Metric | None,
    strategy: tf.distribute.Strategy | None = None,
    use_average: bool = False,
    extent: compilation.Extent = compilation.Extent.NONE,
) -> Step:
  """Makes the evaluation step, which measures and changes nothing.

  Args:
    objective: What the loss is computed with.
    metric: What is measured; None for the loss alone.
    strategy: The strategy that the state was made under.
    use_average: Whether to evaluate the average of the weights. A state that
      has none raises ValueError then.
    extent: What of the step XLA compiles, as for the train step; there is no
      update.

  Returns:
    A `tf.function` from the state and a (distributed) batch to sums.

  Raises:
    TypeError: If the metric is none of ours.
  """
  _check_metric(metric)
  strategy = strategy or tf.distribute.get_strategy()
  belonging.check_compiled(extent, strategy)

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
    measuring.check_batch(batch)
    batch, is_padded = padding.split(batch)
    batch = measuring.without_garbage(batch, is_padded)
    num_before = effects.count()
    # What it would assign is dropped.
    with assignments.collected(variables.untrained(model)):
      evaluation = objective(model, batch, None, is_training=False)
    belonging.check_assigned(
        model,
        effects.since(num_before),
        {},
        batch,
        strategy.num_replicas_in_sync,
    )
    return measuring.measure(metric, evaluation, batch, is_padded)[1]

  def replica_step(state: TrainState, batch: objectives.Batch) -> Sums:
    return distribution.all_reduce_sum(measure(state, batch))

  @_graph(jit_compile=extent == compilation.Extent.STEP)
  def eval_step(state: TrainState, batch: objectives.Batch) -> Sums:
    belonging.check_state({'model': state.model}, strategy)
    belonging.check_batch(batch, strategy)
    sums = strategy.run(replica_step, (state, batch))
    return distribution.first_replica(strategy, sums)

  return eval_step


def summarize(
    metric: metrics.Metric | None, sums: Sums
) -> dict[str, tf.Tensor]:
  """Turns the sums of a step or a loop into values.

  Args:
    metric: The collection of metrics that the step was made with, or None.
    sums: What the step or the loop returned.

  Returns:
    `loss`, the mean over examples with the penalty in it, and each metric by
    its name.

  Raises:
    TypeError: If the metric is a single one, whose value has no name.
  """
  values = {} if metric is None else metric.compute(sums['metrics'])
  if not isinstance(values, Mapping):
    raise TypeError(
        'metric: expected a collection, whose values have names, as in '
        "metrics.collection({'accuracy': metrics.accuracy()}), got one metric."
    )
  mean = tf.math.divide_no_nan(sums['loss'], sums['weight'])
  return {'loss': mean, **values}


def _check_metric(metric: Any) -> None:
  if metric is not None and not isinstance(metric, metrics.Metric):
    raise TypeError(
        'metric: expected a metrics.Metric, such as metrics.collection({'
        f"'accuracy': metrics.accuracy()}}), got a {type(metric).__name__}."
    )


def _graph(jit_compile: bool = False) -> Callable[[Any], Any]:
  # AutoGraph would take longer to read the library than the first step takes.
  return tf.function(autograph=False, jit_compile=jit_compile or None)


def _compiled_if(condition: bool) -> Callable[[Any], Any]:
  return _graph(jit_compile=True) if condition else lambda function: function
