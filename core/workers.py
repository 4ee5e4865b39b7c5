"""What workers tell each other besides sums: integers, numbers and texts.

All of it travels as integers, exactly, and every worker gets the same: what is
concluded from it is concluded alike. Every worker must call these functions,
and as often as the others. On a single worker nothing is sent.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import tensorflow as tf

from . import distribution


def gather(
    strategy: tf.distribute.Strategy, values: Sequence[int]
) -> list[list[int]]:
  """Tells every worker the integers of all.

  Args:
    strategy: The strategy.
    values: Integers of this worker, of 64 bits; as many as the others give.

  Returns:
    The integers of each worker, in their order, the chief's first.

  Example:
    >>> import tensorflow as tf
    >>> from core import workers
    >>> workers.gather(tf.distribute.get_strategy(), [275037])
    [[275037]]
  """
  if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return [list(values)]
  rows = _gather(
      strategy,
      tf.constant(list(values), tf.int64),
      distribution.num_workers(strategy),
  )
  return [[int(value) for value in row] for row in rows.numpy()]


@tf.function(reduce_retracing=True)
def _gather(
    strategy: tf.distribute.Strategy, values: tf.Tensor, num_workers: int
) -> tf.Tensor:
  per_worker = strategy.num_replicas_in_sync // num_workers

  def rows(values: tf.Tensor) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    replica = context.replica_id_in_sync_group
    # The first replica of a worker speaks for it; the sum is of one row each.
    is_own = tf.one_hot(
        tf.where(replica % per_worker == 0, replica // per_worker, -1),
        num_workers,
        dtype=tf.int64,
    )
    return distribution.all_reduce_sum(is_own[:, tf.newaxis] * values)

  return distribution.first_replica(
      strategy, strategy.run(rows, (values,))
  )


def mean(
    strategy: tf.distribute.Strategy, values: Sequence[float]
) -> list[float]:
  """Averages numbers over all workers, so that each goes on with the same.

  Args:
    strategy: The strategy.
    values: Numbers of this worker.

  Returns:
    The means; the values themselves on a single worker.
  """
  bits = [struct.unpack('<q', struct.pack('<d', value))[0] for value in values]
  columns = zip(*gather(strategy, bits), strict=True)
  means = []
  for column in columns:
    floats = struct.unpack(
        f'<{len(column)}d', struct.pack(f'<{len(column)}q', *column)
    )
    means.append(sum(floats) / len(floats))
  return means


def texts(strategy: tf.distribute.Strategy, text: str) -> list[str]:
  """Tells every worker the texts of all.

  Args:
    strategy: The strategy.
    text: The text of this worker.

  Returns:
    The texts of all workers, in their order.
  """
  own = text.encode()
  sizes = [size for [size] in gather(strategy, [len(own)])]
  longest = max(sizes)
  padded = own.ljust(longest, b'\0')
  rows = gather(strategy, list(padded)) if longest else [[] for _ in sizes]
  return [
      bytes(row[:size]).decode() for row, size in zip(rows, sizes, strict=True)
  ]
