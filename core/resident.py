"""A loop over data that lie on the devices: nothing comes from the host.

    arrays = {'image': images, 'label': labels}
    train = make_train_loop(state, objective, optimizer, metric, arrays)
    sums, taken = train(rows, epoch)

`rows` is the order of an epoch, `[num_batches, global_batch_size]`: made once,
its rows are gathered in the graph step by step. (XLA would compile a slice
whose start moves anew at every step.) `make_train_loop` is made of `place` and
`make_loop`, which serve other steps too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from . import (
  compilation,
  loops,
  metrics,
  objectives,
  optimizers,
  training,
)

Data = Mapping[str, Any]  # Of tensors [num_examples, ...], a copy a replica.


def place(
    arrays: Mapping[str, Any], strategy: tf.distribute.Strategy | None = None
) -> Data:
  """Copies data onto the device of every replica.

  Args:
    arrays: Arrays ``[num_examples, ...]`` by the names that they have in a
      batch; images as uint8 take a quarter of the room of floats.
    strategy: The strategy that the state was made under.

  Returns:
    The same as (distributed) tensors.

  Raises:
    ValueError: If the arrays are of different numbers of examples.
  """
  sizes = {name: len(array) for name, array in arrays.items()}
  if len(set(sizes.values())) > 1:
    # XLA would take the last row of a short one again and again.
    raise ValueError(f'arrays: expected one number of examples, got {sizes}.')
  strategy = strategy or tf.distribute.get_strategy()
  with tf.device('CPU:0'):
    tensors = {name: tf.constant(array) for name, array in arrays.items()}

  @tf.function(autograph=False)
  def copy(tensors: Mapping[str, tf.Tensor]) -> Data:
    return strategy.run(
        lambda mine: tf.nest.map_structure(tf.identity, mine), (tensors,)
    )

  return copy(tensors)


def _batch(data: Data, row: tf.Tensor, epoch: tf.Tensor) -> dict[str, Any]:
  """Gathers this replica's part of a global batch."""
  context = tf.distribute.get_replica_context()
  parts = tf.reshape(row, [context.num_replicas_in_sync, -1])
  index = tf.gather(parts, context.replica_id_in_sync_group)
  rows = tf.maximum(index, 0)
  batch = {name: tf.gather(tensor, rows) for name, tensor in data.items()}
  is_example = tf.cast(index >= 0, tf.float32)
  return {
      **batch,
      'index': index,
      'epoch': tf.fill(tf.shape(index), epoch),
      'weight': is_example * batch.get('weight', 1.0),
  }


def make_loop(
    step: training.Step,
    strategy: tf.distribute.Strategy | None = None,
    *,
    jit_compile: bool = False,
) -> Callable[..., tuple[training.Sums, tf.Tensor]]:
  """Makes a loop in the graph over a train or an evaluation step.

  Args:
    step: A step, as `make_train_step` and `make_eval_step` make it.
    strategy: The strategy that the step was made with.
    jit_compile: Whether XLA compiles the whole loop: for one replica, and
      not for convolutions on a CPU; see `compilation.choose`.

  Returns:
    A `tf.function` of

    - the state,
    - data, as `place` returns them,
    - rows, int32 ``[num_batches, global_batch_size]``: the positions in the
      data of the examples of each batch, -1 for padding,
    - the first row to take, an int32 tensor ``[]``,
    - the number of the epoch, an int32 tensor ``[]``, for the batches,
    - the sums so far, as `training.zero_sums` makes them,
    - the number of steps to take, an int32 tensor ``[]``.

    It returns the sums, with those of these steps added, and the number of
    steps taken, which is smaller only if a loss was not finite: the loop ends
    right after that step. A batch holds the data's names and `index`,
    `epoch` int32 and `weight` float32, each ``[batch_size]``: 0 for padding,
    else the `weight` of the data where they have one, and 1 where not.
  """
  strategy = strategy or tf.distribute.get_strategy()

  @tf.function(autograph=False, jit_compile=jit_compile or None)
  def loop(
      state: training.TrainState,
      data: Data,
      rows: tf.Tensor,
      start: tf.Tensor,
      epoch: tf.Tensor,
      sums: training.Sums,
      num_steps: tf.Tensor,
  ) -> tuple[training.Sums, tf.Tensor]:
    def next_step(taken: tf.Tensor) -> training.Sums:
      row = tf.gather(rows, start + taken)
      return step(state, strategy.run(_batch, (data, row, epoch)))

    return loops.add_up(next_step, sums, num_steps)

  return loop


def make_train_loop(
    state: training.TrainState,
    objective: objectives.Objective,
    optimizer: optimizers.GradientTransformation,
    metric: metrics.Metric,
    arrays: Mapping[str, Any],
    strategy: tf.distribute.Strategy | None = None,
    *,
    jit: str = 'auto',
    is_deterministic: bool = False,
) -> Callable[..., tuple[training.Sums, tf.Tensor]]:
  """Places data and makes the train step's loop over them, in its fast form.

  What XLA compiles of it is what gains: see `compilation.choose_for`. On a CPU
  call `xla_flags.tune_for_cpu` first.

  Args:
    state: The state, made under the scope of the strategy.
    objective: What a step minimises.
    optimizer: The optimizer that the state was made with.
    metric: What a step measures.
    arrays: The data, ``[num_examples, ...]`` each, as for `place`.
    strategy: The strategy that the state was made under.
    jit: One of `compilation.MODES`.
    is_deterministic: Whether `enable_op_determinism` is in force.

  Returns:
    A function of

    - rows, int32 ``[num_batches, global_batch_size]``: the positions in the
      data of the examples of each batch, -1 for padding,
    - the number of the epoch,
    - `start`, the first row to take, by default 0,
    - `num_steps`, the number of rows to take, by default all that are left,
    - `sums`, what to add to, by default nothing.

    It trains the state and returns the sums and the number of steps taken, as
    the loop of `make_loop` does. One trace serves all calls with rows of one
    shape.

  Raises:
    ValueError: If the mode is unknown.

  Example:
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from core import losses, metrics, models, objectives, optimizers
    >>> from core import resident, training
    >>> model = models.create('mlp', 2, hidden_sizes=())
    >>> model.build([None, 3])
    >>> optimizer = optimizers.sgd(0.1)
    >>> state = training.TrainState(model, optimizer)
    >>> objective = objectives.supervised(
    ...     losses.softmax_cross_entropy, inputs=lambda batch: batch['x'])
    >>> metric = metrics.collection({'accuracy': metrics.accuracy()})
    >>> x = np.eye(3, dtype=np.float32)
    >>> train = resident.make_train_loop(
    ...     state, objective, optimizer, metric,
    ...     {'x': x, 'label': np.array([0, 1, 1])})
    >>> sums, taken = train(tf.constant([[0, 1], [2, -1]]), epoch=0)
    >>> int(taken), float(sums['weight'])
    (2, 3.0)
  """
  strategy = strategy or tf.distribute.get_strategy()
  example = {
      **{name: array[:1] for name, array in arrays.items()},
      'index': tf.zeros([1], tf.int32),
      'epoch': tf.zeros([1], tf.int32),
      'weight': tf.ones([1]),
  }
  with strategy.scope():  # Layers may ask what they are computed on.
    forward = training.trace(objective, state.model, example)
  extent = compilation.choose_for(
      state.model, forward, strategy, jit, is_deterministic=is_deterministic
  )
  step = training.make_train_step(
      objective, optimizer, metric, strategy, extent
  )
  loop = make_loop(
      step, strategy, jit_compile=extent == compilation.Extent.LOOP
  )
  data = place(arrays, strategy)
  zeros = training.zero_sums(metric, forward)

  def train(
      rows: tf.Tensor,
      epoch: int,
      *,
      start: int = 0,
      num_steps: int | None = None,
      sums: training.Sums | None = None,
  ) -> tuple[training.Sums, tf.Tensor]:
    if num_steps is None:
      num_steps = len(rows) - start
    first, number, count = map(tf.constant, (start, epoch, num_steps))
    return loop(
        state, data, rows, first, number,
        zeros if sums is None else sums, count,
    )

  return train
