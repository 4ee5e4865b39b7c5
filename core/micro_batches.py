"""Processes a batch in parts that fit into memory, with the same gradients.

Losses, gradients, sums of metrics and statistics are sums over examples, so the
results of the parts are added up and divided once by the total weight. The last
part is padded with examples of weight 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from . import checks, distribution, random
from . import rows as rows_lib

Function = Callable[[Mapping[str, Any], random.Place, Any], tuple[Any, Any]]


def add_up(
    function: Function,
    batch: Mapping[str, Any],
    size: int,
    *,
    reduces: bool = False,
) -> tuple[Any, Any]:
  """Sums the results of a function over the micro-batches of a batch.

  Args:
    function: A function of a micro-batch, its place, and the value carried over
      from the previous one (None for the first). It returns additive tensors
      and the next carried value, whose structure must not change.
    batch: This replica's part of a batch.
    size: The number of examples per micro-batch, at least 1.
    reduces: Whether the function itself sums over replicas. If so, or if it
      calls the reductions of `core.distribution`, the loop is unrolled in the
      graph; otherwise all micro-batches but the first share their operations.

  Returns:
    The sums and the value carried over from the last micro-batch.

  Raises:
    ValueError: If the tensors of the batch do not have equally many examples,
      or the number is unknown while tracing and the loop must be unrolled, or
      the size is not positive.
  """
  checks.size('size', size)
  batch_size = rows_lib.count(batch)
  is_known = isinstance(batch_size, int)
  num_parts = tf.maximum(-(-batch_size // size), 1)
  if is_known:
    num_parts = max(-(-batch_size // size), 1)
  is_even = is_known and batch_size == num_parts * size
  examples = batch if is_even else _padded(batch, batch_size)

  def of_part(number: int | tf.Tensor, carried: Any) -> tuple[Any, Any]:
    # A tensor, so that functions are traced once for all numbers.
    first = tf.convert_to_tensor(number) * size
    rows = tf.minimum(first + tf.range(size), batch_size)
    place = random.Place(first, size, batch_size)
    return function(rows_lib.take(examples, rows), place, carried)

  def added(number: int | tf.Tensor, total: Any) -> tuple[Any, Any]:
    sums, carried = total
    # Run one part after the other; in parallel they would need the memory of
    # the whole batch. Only the rows have control inputs: with control inputs on
    # variable reads, Grappler has failed to keep reads before writes.
    with tf.control_dependencies(tf.nest.flatten(total)):
      number = tf.identity(number)
    more, carried = of_part(number, carried)
    return tf.nest.map_structure(tf.add, sums, more), carried

  with distribution.watched() as reductions:
    total = of_part(0, None)
  is_unrolled = reduces or bool(reductions)
  if is_unrolled and not is_known:
    raise ValueError(
        'micro_batch_size: the batch size must be known while tracing for a '
        'model or loss that sums over replicas; batch with '
        'drop_remainder=True, or pad.'
    )
  if is_unrolled or (is_known and num_parts == 1):
    for number in range(1, num_parts):
      total = added(number, total)
    return total
  _, total = tf.while_loop(
      lambda number, total: number < num_parts,
      lambda number, total: (number + 1, added(number, total)),
      (tf.constant(1), total),
      parallel_iterations=1,
  )
  return total


def _padded(
    batch: Mapping[str, Any], batch_size: int | tf.Tensor
) -> dict[str, Any]:
  """Appends one example of weight 0, which is repeated as padding."""
  weight = batch.get('weight')
  if weight is None:
    weight = tf.ones([batch_size])
  return rows_lib.with_empty({**batch, 'weight': weight})
