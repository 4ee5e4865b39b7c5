"""Exchanges integers and texts between workers.

Everything is sent as integers, exactly. All workers receive the same values, so
all of them make the same decisions. Every worker must call these functions
equally often. A single worker sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from . import checks, distribution, waits


def gather(
    strategy: tf.distribute.Strategy, values: Sequence[int]
) -> list[list[int]]:
  """Gathers integers from all workers.

  Args:
    strategy: The strategy.
    values: 64-bit integers of this worker, equally many on each worker.

  Returns:
    The integers of each worker, in the order of workers, the chief first.

  Raises:
    TypeError: If a value is not an integer.

  Example:
    >>> import tensorflow as tf
    >>> from core import workers
    >>> workers.gather(tf.distribute.get_strategy(), [275037])
    [[275037]]
  """
  for value in values:
    checks.size('values', value, low=-(2**63))
  if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return [list(values)]
  with waits.waiting():
    rows = _gather(
        strategy,
        tf.constant(list(values), tf.int64),
        distribution.num_workers(strategy),
    ).numpy()
  return [[int(value) for value in row] for row in rows]


@tf.function(reduce_retracing=True)
def _gather(
    strategy: tf.distribute.Strategy, values: tf.Tensor, num_workers: int
) -> tf.Tensor:
  per_worker = strategy.num_replicas_in_sync // num_workers

  rows = distribution.first_replica(
      strategy, strategy.run(distribution.all_stack, (values,))
  )
  return rows[::per_worker]  # The row of each worker's first replica.


def texts(strategy: tf.distribute.Strategy, text: str) -> list[str]:
  """Gathers a text from each worker.

  Args:
    strategy: The strategy.
    text: The text of this worker.

  Returns:
    The texts in the order of workers.
  """
  own = text.encode()
  sizes = [size for [size] in gather(strategy, [len(own)])]
  longest = max(sizes)
  padded = own.ljust(longest, b'\0')
  rows = gather(strategy, list(padded)) if longest else [[] for _ in sizes]
  return [
      bytes(row[:size]).decode() for row, size in zip(rows, sizes, strict=True)
  ]
