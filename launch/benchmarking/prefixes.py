"""Prefixes of a train step, whose time differences show what takes the time.

  input       gathers the batch and reads it once
  all_reduce  and sums values of the gradients' shapes over replicas
  forward     and evaluates the objective, with its metrics
  backward    and computes the gradients
  update      and updates the state: the whole step

Each is timed in a loop in the graph over batches in device memory, compiled
like the run. So is the whole step in another precision, `half`. The differences
are estimates: XLA may fuse operations of successive prefixes, and what the
forward pass stores for the backward pass counts as backward.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core import (
    compilation,
    distribution,
    objectives,
    optimizers,
    precision,
    resident,
    training,
)
from pipelines import batches, in_memory, splits

from .. import building, programs

NAMES = ('input', 'all_reduce', 'forward', 'backward', 'update')
HALF = 'bfloat16'
# Maximum steps per call, for small batches.
_MAX_STEPS = 1_000
_MAX_POSITIONS = 2**24
# Maximum bytes, or batches of streamed data, that calls use.
_POOL_BYTES = 2**26
_STREAMED_BATCHES = 8
# Minimum number of sums computed at once.
_WIDTH = 64

Timed = Callable[[int], float]
"""A function from a number of steps to the seconds of a call."""


def timers(
    run: building.Training,
    data: splits.Split,
    strategy: tf.distribute.Strategy,
) -> tuple[dict[str, Timed], int]:
  """Returns a timer for each prefix.

  Args:
    run: The run, whose state the last prefix trains.
    data: The training examples.
    strategy: The strategy.

  Returns:
    The timers by the names in `NAMES`: `all_reduce` only with several replicas,
    and `half` only if it is another precision, with hardware products; and the
    maximum number of steps to call them with.
  """
  experiment, state = run.experiment, run.state
  config = experiment.config
  batch_size = config.global_batch_size
  arrays = _pool(data, config.seed, batch_size)
  size = len(next(iter(arrays.values())))
  order = np.random.default_rng(0).permutation(size).astype(np.int32)
  most = max(1, min(_MAX_STEPS, _MAX_POSITIONS // batch_size))
  rows = tf.constant(np.resize(order, [most, batch_size]))
  placed = resident.place(arrays, strategy)
  zeros = experiment.zero_sums(experiment.train_metric)
  zero = tf.constant(0)
  is_compiled = run.extent == compilation.Extent.LOOP

  def timer(step: training.Step, of: training.TrainState) -> Timed:
    inputs = of, placed, rows, zero, zero, zeros
    # Traced here, where the errors of `half` are caught.
    make: Any = resident.make_loop(
        step, strategy, jit_compile=is_compiled, is_full=True
    )
    loop = make.get_concrete_function(*inputs, zero)

    def timed(num_steps: int) -> float:
      count = tf.constant(num_steps)
      started = time.monotonic()
      _, taken = loop(*inputs, count)
      is_whole = int(taken) == num_steps  # Waits for the device.
      seconds = time.monotonic() - started
      if not is_whole:
        raise programs.Failure(
            'the loss is not finite; give a smaller --learning_rate.'
        )
      return seconds

    return timed

  # Exclude what belongs to the update from the other prefixes.
  bare = copy.copy(state)
  bare.average = bare.loss_scale = bare.skipped = None
  found = {}
  for name, step in _steps(run, zeros, strategy):
    # A custom model may not support other precisions.
    ignored = [Exception] if name == 'half' else []
    with contextlib.suppress(*ignored):
      found[name] = timer(step, state if name in ('update', 'half') else bare)
  return found, most


def _steps(
    run: building.Training,
    zeros: training.Sums,
    strategy: tf.distribute.Strategy,
) -> Iterator[tuple[str, training.Step]]:
  """Yields the step of each prefix."""
  yield 'input', input_step(zeros, strategy)
  if strategy.num_replicas_in_sync > 1:
    yield 'all_reduce', input_step(zeros, strategy, reduces=True)
  yield 'update', run.train_step
  experiment = run.experiment
  objective, optimizer = experiment.objective, experiment.optimizer
  steps = {
      'forward': (_without_gradient(objective), _idle(optimizer)),
      'backward': (objective, _idle(optimizer)),
  }
  if experiment.config.precision == 'float32' and precision.is_native(
      HALF, strategy
  ):
    steps['half'] = precision.mixed(objective, HALF), optimizer
  for name, parts in steps.items():
    yield name, training.make_train_step(
        *parts,
        experiment.train_metric,
        strategy,
        run.extent,
        micro_batch_size=experiment.config.micro_batch_size,
    )


def input_step(
    zeros: training.Sums,
    strategy: tf.distribute.Strategy,
    *,
    reduces: bool = False,
) -> training.Step:
  """Makes a step that only reads its batch.

  Args:
    zeros: Sums of zero.
    strategy: The strategy.
    reduces: Whether it also sums values of the gradients' shapes.
  """

  def replica_step(
      state: training.TrainState, batch: objectives.Batch
  ) -> training.Sums:
    read = [
        _sum(x)
        for x in tf.nest.flatten(batch, expand_composites=True)
        if tf.is_tensor(x) and x.dtype != tf.string
    ]
    if reduces:
      summed = distribution.all_reduce_sum((
          {path: tf.identity(v) for path, v in state.parameters.items()},
          zeros,
      ))
      read += map(_first, tf.nest.flatten(summed))
    # Not added to the loss, which must be finite for the loop to continue.
    weight = zeros['weight']
    weight += tf.cast(_unknown_zero(read), weight.dtype)
    return {**zeros, 'weight': weight}

  @tf.function(autograph=False)
  def step(
      state: training.TrainState, batch: objectives.Batch
  ) -> training.Sums:
    sums = strategy.run(replica_step, (state, batch))
    return distribution.first_replica(strategy, sums)

  return step


def _sum(x: tf.Tensor) -> tf.Tensor:
  """Returns a sum, at the cost of reading a tensor once.

  On CPUs, XLA vectorizes sums over leading axes, but not full reductions.
  """
  width = 1
  for size in reversed(x.shape.as_list() if x.shape.rank else []):
    if size is None or width >= _WIDTH:
      break
    width *= size
  columns = tf.reduce_sum(
      tf.cast(tf.reshape(x, [-1, width]), tf.float32), axis=0
  )
  return tf.reduce_sum(columns)


def _first(x: tf.Tensor) -> tf.Tensor:
  return tf.cast(tf.reshape(x, [-1])[0], tf.float32)


def _unknown_zero(values: list[tf.Tensor]) -> tf.Tensor:
  """Returns 0 for finite numbers, in a form that compilers cannot fold."""
  return tf.cast(tf.math.is_nan(tf.add_n(values)), tf.float32)


def _without_gradient(
    objective: objectives.Objective,
) -> objectives.Objective:
  """Returns an objective whose gradient needs no backward pass."""

  def forward(
      model: Any, batch: objectives.Batch, seed: Any, is_training: bool
  ) -> objectives.Evaluation:
    found = objective(model, batch, seed, is_training)
    smallest = min(model.trainable_variables, key=_size)
    return found._replace(
        values=tf.stop_gradient(found.values),
        # The step rejects a loss that depends on no parameter.
        penalty=tf.stop_gradient(found.penalty)
        + 0.0 * tf.reduce_sum(tf.cast(smallest, tf.float32)),
    )

  return forward


def _idle(
    optimizer: optimizers.GradientTransformation,
) -> optimizers.GradientTransformation:
  """Returns an optimizer with the same state that only reads gradients."""

  def update(
      gradients: Mapping[str, tf.Tensor], state: Any, parameters: Any
  ) -> tuple[Any, Any]:
    # Products and convolutions are computed in full for one element.
    firsts = [_first(g) for g in gradients.values()]
    updates = {
        path: tf.zeros(value.shape) for path, value in parameters.items()
    }
    path = min(parameters, key=lambda path: _size(parameters[path]))
    updates[path] += _unknown_zero(firsts)
    return updates, state

  return optimizers.GradientTransformation(optimizer.init, update)


def _size(variable: Any) -> int:
  return variable.shape.num_elements()


def _pool(
    data: splits.Split, seed: int, batch_size: int
) -> dict[str, np.ndarray]:
  """Returns at least a batch of examples for timing prefixes."""
  if isinstance(data, in_memory.InMemorySplit):
    bytes_each = sum(a[:1].nbytes for a in data.arrays.values())
    size = max(_POOL_BYTES // max(bytes_each, 1), batch_size)
    return {name: array[:size] for name, array in data.arrays.items()}
  number = batches.num_train_steps_per_epoch(data.num_examples, batch_size)
  found = list(
      batches.train_batches(
          data,
          seed=seed,
          global_batch_size=batch_size,
          num_steps=min(number, _STREAMED_BATCHES),
      )
  )
  return {
      name: np.concatenate([batch[name].numpy() for batch in found])
      for name in data.spec
  }
