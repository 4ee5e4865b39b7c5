"""Batches of static shape for every replica of every worker, from any step.

An element is the batch of one replica: each feature ``[B, ...]``, `index` int32
``[B]``, the positions of the examples in the split (-1 for padding), `epoch`
int32 ``[B]`` and, if batches may have padding, `weight` float32 ``[B]``, with
``B = ceil(global_batch_size / num_replicas)``. A worker's elements are ordered
by step and then by replica, as `strategy.distribute_datasets_from_function`
distributes them: replica r of step s gets the r-th slice of the global batch of
step s, which is padded with examples of weight 0 if it cannot be divided
evenly. Global batches do not depend on the numbers of replicas and workers.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import autograph, splits


def num_train_steps_per_epoch(num_examples: int, global_batch_size: int) -> int:
  """Returns the number of full global batches per epoch.

  Args:
    num_examples: The number of training examples.
    global_batch_size: The number of examples per step on all replicas.

  Returns:
    ``num_examples // global_batch_size``; the remainder, different examples in
    each epoch, is dropped.

  Raises:
    ValueError: If there are too few examples for one batch.

  Example:
    >>> from pipelines import batches
    >>> batches.num_train_steps_per_epoch(55000, 128)
    429
  """
  _positive(global_batch_size=global_batch_size)
  if num_examples < global_batch_size:
    raise ValueError(
        f'global_batch_size: {global_batch_size} is more than the '
        f'{num_examples} training examples; choose at most {num_examples}.'
    )
  return num_examples // global_batch_size


def num_eval_steps(num_examples: int, global_batch_size: int) -> int:
  """Returns the number of global batches that hold every example once.

  Args:
    num_examples: The number of examples to evaluate.
    global_batch_size: The number of examples per step on all replicas.

  Returns:
    ``ceil(num_examples / global_batch_size)``.

  Raises:
    ValueError: If the batch size is not positive.

  Example:
    >>> from pipelines import batches
    >>> batches.num_eval_steps(10000, 128)
    79
  """
  _positive(global_batch_size=global_batch_size)
  return -(-num_examples // global_batch_size)


def train_batches(
    data: splits.Split,
    *,
    seed: int,
    global_batch_size: int,
    num_steps: int,
    start_step: int = 0,
    num_replicas: int = 1,
    num_workers: int = 1,
    worker: int = 0,
) -> tf.data.Dataset:
  """Returns shuffled batches, a pure function of (seed, epoch, position).

  Args:
    data: The training examples.
    seed: The seed of the run, which determines the order of all epochs.
    global_batch_size: The number of examples per step on all replicas.
    num_steps: The number of steps from `start_step` on.
    start_step: The first step, which may be in the middle of an epoch.
    num_replicas: The number of replicas on all workers.
    num_workers: The number of workers, with equally many replicas each.
    worker: The index of the calling worker, in [0, num_workers).

  Returns:
    A dataset of `num_steps * num_replicas / num_workers` batches. They have
    weights, 0 for padding, only if the global batch cannot be divided evenly
    among replicas, since steps are faster without.

  Raises:
    ValueError: If the sizes are inconsistent.
  """
  steps_per_epoch = num_train_steps_per_epoch(
      data.num_examples, global_batch_size
  )
  if start_step < 0 or num_steps < 0:
    raise ValueError(
        f'start_step, num_steps: expected at least 0, got {start_step} and '
        f'{num_steps}.'
    )
  first_epoch, first_row = divmod(start_step, steps_per_epoch)
  rows = data.epochs(seed, first_epoch, global_batch_size)
  rows = rows.skip(first_row).take(num_steps)
  weights = tf.ones([global_batch_size])
  epochs = tf.data.Dataset.range(start_step, tf.int64.max).map(
      autograph.off(lambda step: tf.cast(step // steps_per_epoch, tf.int32))
  )
  rows = tf.data.Dataset.zip((rows, epochs)).map(
      autograph.off(
          lambda keys, epoch: (keys, weights, tf.fill(weights.shape, epoch))
      )
  )
  return _replica_batches(
      data,
      rows,
      global_batch_size,
      num_replicas,
      num_workers,
      worker,
      is_full=global_batch_size % num_replicas == 0,
  )


def eval_batches(
    data: splits.Split,
    *,
    global_batch_size: int,
    num_replicas: int = 1,
    num_workers: int = 1,
    worker: int = 0,
) -> tf.data.Dataset:
  """Returns every example exactly once, in the order of the split.

  Args:
    data: The examples to evaluate.
    global_batch_size: The number of examples per step on all replicas.
    num_replicas: The number of replicas on all workers.
    num_workers: The number of workers, with equally many replicas each.
    worker: The index of the calling worker, in [0, num_workers).

  Returns:
    A dataset of `num_eval_steps` batches for each of the worker's replicas. The
    last global batch is padded with zeros of weight 0, which may fill the whole
    batch of a replica.

  Raises:
    ValueError: If the sizes are inconsistent.
  """
  total = global_batch_size * num_eval_steps(
      data.num_examples, global_batch_size
  )
  keys = data.keys()
  padding = keys.take(1).repeat(total - data.num_examples)
  weights = tf.data.Dataset.range(total).map(
      autograph.off(
          lambda index: tf.cast(index < data.num_examples, tf.float32)
      )
  )
  epochs = tf.data.Dataset.from_tensors(tf.constant(0)).repeat()
  rows = tf.data.Dataset.zip((keys.concatenate(padding), weights, epochs))
  rows = rows.batch(global_batch_size, drop_remainder=True)
  return _replica_batches(
      data, rows, global_batch_size, num_replicas, num_workers, worker
  )


def _replica_batches(
    data: splits.Split,
    rows: tf.data.Dataset,
    global_batch_size: int,
    num_replicas: int,
    num_workers: int,
    worker: int,
    *,
    is_full: bool = False,
) -> tf.data.Dataset:
  """Splits rows of (keys, weights, epochs) and loads this worker's parts."""
  _check_workers(num_replicas, num_workers, worker)
  num_local = num_replicas // num_workers
  batch_size = -(-global_batch_size // num_replicas)
  missing = batch_size * num_replicas - global_batch_size

  def filled(keys: Any, weights: tf.Tensor, epochs: tf.Tensor) -> Any:
    # Repeats the first example, with weight 0.
    keys, epochs = tf.nest.map_structure(
        lambda row: tf.concat([row, tf.repeat(row[:1], missing, 0)], 0),
        (keys, epochs),
    )
    return keys, tf.pad(weights, [[0, missing]]), epochs

  @autograph.off
  def local(*row: tf.Tensor) -> Any:
    def part(tensor: tf.Tensor) -> Any:
      shape = [num_replicas, batch_size, *tensor.shape[1:]]
      first = worker * num_local
      return tf.reshape(tensor, shape)[first : first + num_local]

    return tf.nest.map_structure(part, filled(*row) if missing else row)

  @autograph.off
  def batch(keys: Any, weights: tf.Tensor, epochs: tf.Tensor) -> Any:
    loaded = {
        name: tf.ensure_shape(value, [batch_size, *value.shape[1:]])
        for name, value in data.load(keys).items()
    }
    if is_full:
      return {**loaded, 'epoch': epochs}
    index = tf.where(weights > 0, loaded.pop('index'), -1)
    features = {
        name: _where(weights > 0, value) for name, value in loaded.items()
    }
    return {**features, 'index': index, 'epoch': epochs, 'weight': weights}

  return (
      rows.map(local)
      .unbatch()
      .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
      .prefetch(tf.data.AUTOTUNE)
  )


def _where(is_real: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
  """Replaces padding in a feature by zeros (or empty strings)."""
  axes = [1] * (value.shape.rank - 1)
  return tf.where(tf.reshape(is_real, [-1, *axes]), value, tf.zeros_like(value))


def _positive(**sizes: int) -> None:
  for name, size in sizes.items():
    if size < 1:
      raise ValueError(f'{name}: expected at least 1, got {size}.')


def _check_workers(num_replicas: int, num_workers: int, worker: int) -> None:
  _positive(num_replicas=num_replicas, num_workers=num_workers)
  if num_replicas % num_workers:
    raise ValueError(
        f'num_replicas: {num_replicas} cannot be divided evenly among '
        f'{num_workers} workers; use a multiple of {num_workers}.'
    )
  if not 0 <= worker < num_workers:
    raise ValueError(
        f'worker: expected an index in [0, {num_workers}), got {worker}.'
    )
