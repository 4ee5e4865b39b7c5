"""Joins steps and data: loops that go through a split, wherever it lies.

What fits into the devices' memory is put there, and batches are gathered by
the loop itself; the rest comes through an iterator of tf.data.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from core import compilation, loops, objectives, resident, training
from pipelines import batches, decoding, in_memory, splits, streams


class DataLoop(Protocol):
  """A loop over the batches of a split."""

  def __call__(
      self,
      state: training.TrainState,
      sums: training.Sums,
      start: int,
      num_steps: int,
  ) -> tuple[training.Sums, tf.Tensor]:
    """Takes steps from `start` on; returns the sums and the number taken."""


def batch_of(
    data: splits.Split, start: int, *, seed: int, global_batch_size: int
) -> objectives.Batch:
  """Returns the batch that a step trains on.

  Args:
    data: The training examples.
    start: The number of steps before it.
    seed: The run's seed.
    global_batch_size: The examples of a step.

  Returns:
    The features, with `index`, the positions in the split.
  """
  [batch] = batches.train_batches(
      data,
      seed=seed,
      global_batch_size=global_batch_size,
      start_step=start,
      num_steps=1,
  )
  return batch


class ResidentLoops:
  """Loops over data on the devices."""

  def __init__(
      self,
      step: training.Step,
      strategy: tf.distribute.Strategy,
      extent: compilation.Extent,
      arrays: Mapping[str, np.ndarray],
      *,
      is_full: bool = False,
  ):
    """Copies the data; the loop is traced at its first use only.

    Args:
      step: The step.
      strategy: The strategy that it was made with.
      extent: What is compiled.
      arrays: `image` and `label`, ``[num_examples, ...]``.
      is_full: Whether no batch has padding.
    """
    self._loop = resident.make_loop(
        step,
        strategy,
        jit_compile=extent == compilation.Extent.LOOP,
        is_full=is_full,
    )
    self._data = resident.place(arrays, strategy)
    for array in arrays.values():
      decoding.release(array)

  def over(
      self, keys_at: Callable[[int], tuple[tf.Tensor, int, int]]
  ) -> DataLoop:
    """Gives a loop over a split.

    Args:
      keys_at: A function of a step to a matrix of examples, ``[num_steps,
        global_batch_size]``, the row of the step in it, and the epoch. A call
        of the loop must stay within one matrix; they must be alike in shape.

    Returns:
      The loop.
    """

    def data_loop(
        state: training.TrainState,
        sums: training.Sums,
        start: int,
        num_steps: int,
    ) -> tuple[training.Sums, tf.Tensor]:
      matrix, row, epoch = keys_at(start)
      row, epoch, count = map(tf.constant, (row, epoch, num_steps))
      return self._loop(state, self._data, matrix, row, epoch, sums, count)

    return data_loop


class StreamingLoops:
  """Loops over batches that tf.data makes on the host."""

  def __init__(self, step: training.Step, strategy: tf.distribute.Strategy):
    """Makes the loop; it is traced at its first use only.

    Args:
      step: The step.
      strategy: The strategy that it was made with.
    """
    self._strategy = strategy
    self._loop = loops.make_loop(step)

  def over(
      self,
      data: splits.Split,
      dataset: Callable[[int, dict[str, int]], tf.data.Dataset],
  ) -> DataLoop:
    """Gives a loop over a split.

    Args:
      data: The examples of the split.
      dataset: A function of the first step and of `num_replicas`,
        `num_workers` and `worker` to batches, as `pipelines.batches` makes
        them.

    Returns:
      The loop. It goes on where its last call ended, or begins anew. It
      raises a DataError where an example is damaged.
    """
    iterator: Iterator[Any] = iter(())
    position = -1

    def data_loop(
        state: training.TrainState,
        sums: training.Sums,
        start: int,
        num_steps: int,
    ) -> tuple[training.Sums, tf.Tensor]:
      nonlocal iterator, position
      with streams.explained(data):
        if start != position:
          iterator = iter(self._distributed(dataset, start))
        position = start + num_steps
        return self._loop(state, iterator, sums, tf.constant(num_steps))

    return data_loop

  def _distributed(
      self,
      dataset: Callable[[int, dict[str, int]], tf.data.Dataset],
      start: int,
  ) -> Any:
    return self._strategy.distribute_datasets_from_function(
        lambda context: dataset(
            start,
            {
                'num_replicas': context.num_replicas_in_sync,
                'num_workers': context.num_input_pipelines,
                'worker': context.input_pipeline_id,
            },
        )
    )


def of_training(
    step: training.Step,
    strategy: tf.distribute.Strategy,
    extent: compilation.Extent,
    data: splits.Split,
    *,
    seed: int,
    global_batch_size: int,
    num_steps: int,
) -> DataLoop:
  """Makes the loop over the training examples, wherever they lie.

  Args:
    step: The train step.
    strategy: The strategy that it was made with.
    extent: What is compiled.
    data: The examples.
    seed: The run's seed.
    global_batch_size: The examples of a step.
    num_steps: The number of steps of the whole run.

  Returns:
    The loop. A call on data in memory must stay within an epoch.
  """
  if not isinstance(data, in_memory.InMemorySplit):

    def stream(start: int, place: dict[str, int]) -> tf.data.Dataset:
      return batches.train_batches(
          data,
          seed=seed,
          global_batch_size=global_batch_size,
          start_step=start,
          num_steps=num_steps - start,
          **place,
      )

    return StreamingLoops(step, strategy).over(data, stream)
  steps_per_epoch = batches.num_train_steps_per_epoch(
      data.num_examples, global_batch_size
  )

  @functools.lru_cache(maxsize=1)
  def order(epoch: int) -> tf.Tensor:
    return data.train_keys(seed, epoch, global_batch_size)

  def keys_at(step: int) -> tuple[tf.Tensor, int, int]:
    epoch, row = divmod(step, steps_per_epoch)
    return order(epoch), row, epoch

  loop = ResidentLoops(step, strategy, extent, data.arrays, is_full=True)
  return loop.over(keys_at)
