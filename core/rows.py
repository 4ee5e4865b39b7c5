"""Gathers examples by position from dense, sparse and ragged tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from . import float_bits


def leaves(batch: Any, path: str = '') -> Iterator[tuple[str, Any]]:
  """Yields the tensors in a batch.

  Args:
    batch: A batch: a mapping, which may be nested.
    path: The prefix of the paths.

  Yields:
    Pairs of a path, such as `inputs/tokens`, and a tensor.
  """
  parts: Iterable[tuple[Any, Any]]
  if isinstance(batch, Mapping):
    parts = batch.items()
  elif isinstance(batch, Sequence) and not isinstance(batch, str | bytes):
    parts = enumerate(batch)
  else:
    yield path, batch
    return
  for name, part in parts:
    yield from leaves(part, f'{path}/{name}' if path else str(name))


def count(batch: Any) -> int | tf.Tensor:
  """Counts the examples of a batch.

  Args:
    batch: A batch of dense, sparse or ragged tensors ``[batch_size, ...]``;
      scalars ``[]`` are ignored.

  Returns:
    The number of examples, as a Python integer if any tensor's is known while
    tracing, and otherwise int32 ``[]``.

  Raises:
    ValueError: If there are no examples, or their numbers differ.

  Example:
    >>> import tensorflow as tf
    >>> from core import rows
    >>> rows.count({'x': {'image': tf.zeros([3, 8])}, 'scale': tf.zeros([])})
    3
  """
  tensors = {path: leaf for path, leaf in leaves(batch) if len(leaf.shape) > 0}
  if not tensors:
    raise ValueError('batch: expected tensors [batch_size, ...], got none.')
  sizes = {
      path: leaf.shape[0]
      for path, leaf in tensors.items()
      if leaf.shape[0] is not None
  }
  if len(set(sizes.values())) > 1:
    raise ValueError(f'batch: expected one number of examples, got {sizes}.')
  for size in sizes.values():
    return int(size)
  leaf = next(iter(tensors.values()))
  if isinstance(leaf, tf.RaggedTensor):
    return leaf.nrows(tf.int32)
  if isinstance(leaf, tf.SparseTensor):
    return tf.cast(leaf.dense_shape[0], tf.int32)
  return tf.shape(leaf)[0]


def take(batch: Any, rows: tf.Tensor) -> Any:
  """Gathers examples.

  Args:
    batch: A batch of dense tensors, `tf.RaggedTensor`s and `tf.SparseTensor`s
      ``[num_examples, ...]``; scalars ``[]`` are kept.
    rows: The positions of the examples, integers ``[batch_size]``.

  Returns:
    The batch of these examples.

  Example:
    >>> import tensorflow as tf
    >>> from core import rows
    >>> rows.take({'x': tf.constant([5, 6, 7])}, [2, 0])['x'].numpy().tolist()
    [7, 5]
  """
  rows = tf.convert_to_tensor(rows)
  of_leaf = _take_on_gpu if float_bits.are_needed() else _take
  return _map(lambda leaf: of_leaf(leaf, rows), batch)


def with_empty(batch: Any) -> Any:
  """Appends an example of zeros, or of length 0 in ragged tensors.

  Args:
    batch: A batch, as for `take`.

  Returns:
    The batch with one more example.
  """
  return _map(_with_empty, batch)


def values_of(
    leaf: tf.RaggedTensor | tf.SparseTensor,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the values of a tensor and the example that each belongs to.

  Args:
    leaf: A ragged or sparse tensor ``[num_examples, ...]``.

  Returns:
    Its values ``[num_values, ...]`` and their examples, int64 ``[num_values]``.
  """
  if isinstance(leaf, tf.SparseTensor):
    return leaf.values, leaf.indices[:, 0]
  examples, values = leaf.value_rowids(), leaf.values
  while isinstance(values, tf.RaggedTensor):
    examples = tf.gather(examples, values.value_rowids())
    values = values.values
  return values, examples


def with_values(
    leaf: tf.RaggedTensor | tf.SparseTensor, values: tf.Tensor
) -> tf.RaggedTensor | tf.SparseTensor:
  """Returns a tensor with the same structure and other values.

  Args:
    leaf: A ragged or sparse tensor.
    values: Values in the order of `values_of`.

  Returns:
    The tensor.
  """
  if isinstance(leaf, tf.SparseTensor):
    changed = leaf.with_values(values)
    changed.set_shape(leaf.shape)  # Keeps the static shape.
    return changed
  return leaf.with_flat_values(values)


def _map(function: Callable[[Any], Any], batch: Any) -> Any:
  def applied(leaf: Any) -> Any:
    return leaf if len(leaf.shape) == 0 else function(leaf)

  return tf.nest.map_structure(applied, batch)


def _take_on_gpu(leaf: Any, rows: tf.Tensor) -> Any:
  if isinstance(leaf, tf.Tensor):
    taken = _take(float_bits.to_floats(leaf), rows)
    return float_bits.from_floats(taken, like=leaf)
  with float_bits.on_host():  # It has no GPU kernels for other tensors.
    return _take(leaf, rows)


def _take(leaf: Any, rows: tf.Tensor) -> Any:
  if not isinstance(leaf, tf.SparseTensor):
    return tf.gather(leaf, rows)
  leaf = tf.sparse.reorder(leaf)
  entries = tf.RaggedTensor.from_value_rowids(
      tf.range(tf.shape(leaf.indices)[0]),
      leaf.indices[:, 0],
      nrows=leaf.dense_shape[0],
      validate=False,
  )
  taken = tf.gather(entries, rows)
  row = tf.cast(taken.value_rowids()[:, tf.newaxis], tf.int64)
  columns = tf.gather(leaf.indices[:, 1:], taken.flat_values)
  num_rows = rows.shape[0] or tf.shape(rows, tf.int64)[0]
  return tf.SparseTensor(
      tf.concat([row, columns], axis=1),
      tf.gather(leaf.values, taken.flat_values),
      _sparse_shape(leaf, num_rows),
  )


def _with_empty(leaf: Any) -> Any:
  if isinstance(leaf, tf.RaggedTensor):
    splits = leaf.row_splits
    return tf.RaggedTensor.from_row_splits(
        leaf.values, tf.concat([splits, splits[-1:]], axis=0), validate=False
    )
  if isinstance(leaf, tf.SparseTensor):
    shape = _sparse_shape(leaf, leaf.dense_shape[0] + 1)
    return tf.SparseTensor(leaf.indices, leaf.values, shape)
  # Not tf.pad, which does not support strings.
  empty = tf.zeros(tf.concat([[1], tf.shape(leaf)[1:]], axis=0), leaf.dtype)
  return tf.concat([leaf, empty], axis=0)


def _sparse_shape(leaf: tf.SparseTensor, num_rows: Any) -> tf.Tensor:
  rest = [
      leaf.dense_shape[axis] if size is None else size
      for axis, size in enumerate(leaf.shape)
  ][1:]
  return tf.stack([tf.cast(size, tf.int64) for size in (num_rows, *rest)])
