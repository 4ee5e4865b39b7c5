"""Loops of steps over a split, on the devices or on the host.

Data that fit into the devices' memory are copied there, and the loop gathers
its batches. Other data come from a tf.data iterator.
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
    """Takes steps from `start` on; returns the sums and the number of steps."""


def batch_of(
    data: splits.Split, start: int, *, seed: int, global_batch_size: int
) -> objectives.Batch:
  """Returns the batch that a step trains on.

  Args:
    data: The training examples.
    start: The number of earlier steps.
    seed: The run's seed.
    global_batch_size: The number of examples per step.

  Returns:
    The features, including `index`, the positions in the split.
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
    """Copies the data; the loop is traced at its first use.

    Args:
      step: The step.
      strategy: The strategy that the step was made with.
      extent: Which part of a step XLA compiles.
      arrays: The features by name, ``[num_examples, ...]``.
      is_full: Whether all batches are without padding.
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
    """Returns a loop over a split.

    Args:
      keys_at: A function of a step, which returns a matrix of examples,
        ``[num_steps, global_batch_size]``, the row of the step, and the epoch.
        All matrices have the same shape, and a call must stay within one.

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
    """Makes the loop, which is traced at its first use.

    Args:
      step: The step.
      strategy: The strategy that the step was made with.
    """
    self._strategy = strategy
    self._loop = loops.make_loop(step)

  def over(
      self,
      data: splits.Split,
      dataset: Callable[[int, dict[str, int]], tf.data.Dataset],
  ) -> DataLoop:
    """Returns a loop over a split.

    Args:
      data: The examples of the split.
      dataset: A function of the first step and a dict of `num_replicas`,
        `num_workers` and `worker`, which returns batches as `pipelines.batches`
        does.

    Returns:
      The loop. A call that does not start where the last one ended creates a
      new iterator. The loop raises DataError if an example is damaged.
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
  """Makes the loop over the training examples, in memory or streamed.

  Args:
    step: The train step.
    strategy: The strategy that the step was made with.
    extent: Which part of a step XLA compiles.
    data: The examples.
    seed: The run's seed.
    global_batch_size: The number of examples per step.
    num_steps: The number of steps of the whole run.

  Returns:
    The loop. For data in memory, a call must stay within an epoch.
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
