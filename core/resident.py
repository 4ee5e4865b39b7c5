"""A loop over data that lie on the devices: nothing comes from the host.

    data = place({'image': images, 'label': labels}, strategy)
    loop = make_loop(train_step, strategy)
    sums, taken = loop(state, data, rows, start, epoch, sums, num_steps)

`rows` is the order of an epoch, `[num_batches, global_batch_size]`: made once,
its rows are gathered in the graph step by step. (XLA would compile a slice
whose start moves anew at every step.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from . import loops, training

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
  """
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
  return {
      **{name: tf.gather(tensor, rows) for name, tensor in data.items()},
      'index': index,
      'epoch': tf.fill(tf.shape(index), epoch),
      'weight': tf.cast(index >= 0, tf.float32),
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
    `epoch` int32 and `weight` float32, each ``[batch_size]``.
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
