"""One batch in parts that fit into memory, with the gradients of the whole.

Losses, gradients, sums of metrics and statistics are sums over examples: what
the parts give is added up, and divided by the weight of all of it once. The
last part is filled up with examples of weight 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from . import distribution, random
from . import rows as rows_lib

Function = Callable[[Mapping[str, Any], random.Place, Any], tuple[Any, Any]]


def add_up(
    function: Function,
    batch: Mapping[str, Any],
    size: int,
    *,
    reduces: bool = False,
) -> tuple[Any, Any]:
  """Adds up what a function makes of the micro-batches of a batch.

  Args:
    function: A function of a micro-batch, of its place, and of what the one
      before carried on (None for the first), to additive tensors and what it
      carries on. The latter must be of one structure.
    batch: This replica's part of a batch.
    size: The examples of a micro-batch, at least 1.
    reduces: Whether the function sums over replicas by itself. Then, as when it
      does by `core.distribution`, each micro-batch has operations of its own in
      the graph; else all but the first share them.

  Returns:
    The sums, and what the last micro-batch carried on.

  Raises:
    ValueError: If the tensors of the batch are not of equally many examples; or
      their number is unknown while tracing, and replicas have to be in step.
  """
  batch_size = rows_lib.count(batch)
  is_known = isinstance(batch_size, int)
  num_parts = tf.maximum(-(-batch_size // size), 1)
  if is_known:
    num_parts = max(-(-batch_size // size), 1)
  is_even = is_known and batch_size == num_parts * size
  examples = batch if is_even else _padded(batch, batch_size)

  def of_part(number: int | tf.Tensor, carried: Any) -> tuple[Any, Any]:
    # A tensor, since functions are traced once for all numbers.
    first = tf.convert_to_tensor(number) * size
    rows = tf.minimum(first + tf.range(size), batch_size)
    place = random.Place(first, size, batch_size)
    return function(rows_lib.take(examples, rows), place, carried)

  def added(number: int | tf.Tensor, total: Any) -> tuple[Any, Any]:
    sums, carried = total
    # One after the other: together they would need the memory of the batch. The
    # rows alone wait: of variables that are read late, under control inputs of
    # ours, TensorFlow's optimizer of graphs has lost the order before a write.
    with tf.control_dependencies(tf.nest.flatten(total)):
      number = tf.identity(number)
    more, carried = of_part(number, carried)
    return tf.nest.map_structure(tf.add, sums, more), carried

  with distribution.watched() as reductions:
    total = of_part(0, None)
  is_unrolled = reduces or bool(reductions)
  if is_unrolled and not is_known:
    raise ValueError(
        'micro_batch_size: the size of a batch must be known while tracing for '
        'a model or loss that sums over replicas; batch with '
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
  """Appends one example, of weight 0, that stands for all that are missing."""
  weight = batch.get('weight')
  if weight is None:
    weight = tf.ones([batch_size])
  return rows_lib.with_empty({**batch, 'weight': weight})
