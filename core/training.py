"""The train state, the train step and the evaluation step.

    state = TrainState(model, optimizer, seed=0)
    train_step = make_train_step(objective, optimizer, metric, strategy)
    sums = train_step(state, batch)

The loss is the sum of per-example losses over all replicas divided by the sum
of weights over all replicas. It is therefore exact on any number of replicas,
with padding, and if some replicas have no examples.
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
    """Returns how often the step was traced."""


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
    objective: The objective to minimize.
    optimizer: The optimizer with which the state was created.
    metric: The metric to compute. If None, only the loss is computed.
    strategy: The strategy under which the state was created.
    extent: How much of the step XLA compiles, see `compilation.choose`. With
      `LOOP`, the function that makes the loop compiles it.
    after: A function of the state, with the parameters already updated, and the
      sums over all replicas of `Evaluation.statistics`. It returns new values
      for non-trainable variables of the model, such as codebooks, centers and
      target networks, by their paths in `variables.named(state.model)`.
    micro_batch_size: The number of examples that a replica processes at a time,
      to save memory. The gradients equal those of the whole batch up to
      rounding, except where examples are compared, as in batch norm and
      in-batch losses, which see one micro-batch. Default: all examples.

  Returns:
    A `tf.function` from the state and a (distributed) batch, see
    `objectives.Batch`, to sums over the batch's examples, which `summarize`
    turns into values. It updates the variables of the state in place. In
    examples of weight 0, NaN and infinities are replaced by zeros.

    The forward pass assigns nothing: the values that modules such as
    `layers.BatchNorm` compute are assigned at the end, see `assignments`.

    A step whose gradients are not finite is skipped if the state has a loss
    scale or an `optimizers.apply_if_finite` in the optimizer skips it. It
    changes only `step`, the loss scale and the counts of skipped steps, not the
    average or any variable of the model. Its sums are replaced by zeros unless
    all of them are finite, so a loss that is not finite always belongs to a
    step that was taken.

  Raises:
    TypeError: If the metric or the optimizer is not of this library.
    ValueError: If the micro-batch size is not positive. The step raises it if
      the state or the batch does not belong to the strategy, if the model has
      created parameters since the state was, or if the loss depends on none.
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
      # All assignments of the step wait for the weight, see `updating.update`.
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
        state,
        optimizer,
        gradients,
        weight,
        untrained,
        assigned,
        statistics,
        after,
        is_asserted,
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
    # A single collective for everything.
    gradients, sums, statistics = distribution.all_reduce_sum(added)
    is_skipped = update(
        state,
        gradients,
        sums['weight'],
        untrained,
        assigned,
        statistics,
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
  """Makes the evaluation step, which does not change the state.

  Args:
    objective: The objective that computes the loss.
    metric: The metric to compute. If None, only the loss is computed.
    strategy: The strategy under which the state was created.
    use_average: Whether to evaluate the average of the weights. The step raises
      ValueError if the state has none.
    extent: How much of the step XLA compiles; there is no update.

  Returns:
    A `tf.function` from the state and a (distributed) batch to sums.

  Raises:
    TypeError: If the metric is not of this library.
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
            'use_average: the state has no average; create it with '
            'TrainState(..., average_decay=0.999).'
        )
      model = state.average.model
    measuring.check_batch(batch)
    batch, is_padded = padding.split(batch)
    batch = measuring.without_garbage(batch, is_padded)
    num_before = effects.count()
    # Assignments of the forward pass are dropped.
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
  """Converts the sums of a step or a loop to values.

  Args:
    metric: The collection of metrics with which the step was made, or None.
    sums: The sums that the step or the loop returned.

  Returns:
    `loss`, the mean over examples plus the penalty, and each metric by name.

  Raises:
    TypeError: If the metric is not a collection, since its value has no name.
    ValueError: If a metric is called loss.
  """
  values = {} if metric is None else metric.compute(sums['metrics'])
  if not isinstance(values, Mapping):
    raise TypeError(
        'metric: expected a collection, whose values have names, as in '
        "metrics.collection({'accuracy': metrics.accuracy()}), got one metric."
    )
  if 'loss' in values:
    raise ValueError(
        'metric: one is called loss, which is the name of the loss; rename it.'
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
  # AutoGraph takes longer to convert the library than the first step takes.
  return tf.function(autograph=False, jit_compile=jit_compile or None)


def _compiled_if(condition: bool) -> Callable[[Any], Any]:
  return _graph(jit_compile=True) if condition else lambda function: function
