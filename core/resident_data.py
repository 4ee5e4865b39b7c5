"""Gathers each replica's batches from data that reside on the devices."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from . import checks, distribution, float_bits, padding
from . import rows as rows_lib


def tensors(arrays: Mapping[str, Any]) -> dict[str, Any]:
  """Converts arrays to tensors in host memory.

  Args:
    arrays: Arrays or dense, sparse or ragged tensors ``[num_examples, ...]`` by
      name; mappings may be nested.

  Returns:
    The tensors; a dense `weight` as float32.

  Raises:
    TypeError: If they are not a mapping, or the weight is not of numbers.
    ValueError: If they have different numbers of examples, or a reserved name,
      or a weight is negative or not finite.
  """
  if not isinstance(arrays, Mapping):
    raise TypeError(
        "arrays: expected a mapping of names to arrays, such as {'image': "
        f"images, 'label': labels}}, got a {type(arrays).__name__}."
    )

  def convert(part: Any) -> Any:
    if isinstance(part, Mapping):
      return {name: convert(value) for name, value in part.items()}
    is_tensor = isinstance(part, tf.RaggedTensor | tf.SparseTensor)
    return part if is_tensor else tf.constant(part)

  with tf.device('CPU:0'):
    converted = convert(arrays)
    if isinstance(converted.get('weight'), tf.Tensor):
      converted['weight'] = _weight(converted['weight'])
  for name in ('index', 'epoch', padding.IS_PADDED):
    if name in converted:
      raise ValueError(
          f'arrays: {name!r} is a reserved name in batches; rename it.'
      )
  sizes = {}
  for path, x in rows_lib.leaves(converted):
    if not x.shape.rank:
      raise ValueError(f'arrays: {path}: expected [num_examples, ...], got [].')
    sizes[path] = int(x.shape[0])
  if len(set(sizes.values())) > 1:
    # XLA would silently repeat the last row of a shorter tensor.
    raise ValueError(f'arrays: expected one number of examples, got {sizes}.')
  return converted


def copy(data: Mapping[str, Any]) -> Mapping[str, Any]:
  """Copies data to this replica's device.

  Args:
    data: Tensors ``[num_examples, ...]``.

  Returns:
    The copies. Next to a GPU, sparse and ragged ones stay in host memory, where
    `rows.take` gathers them.
  """

  def copied(leaf: Any) -> Any:
    on_host = distribution.on_gpu() and not isinstance(leaf, tf.Tensor)
    with float_bits.on_host() if on_host else contextlib.nullcontext():
      return tf.nest.map_structure(tf.identity, leaf, expand_composites=True)

  return tf.nest.map_structure(copied, data)


def _weight(weight: tf.Tensor) -> tf.Tensor:
  """Returns weights as float32, which steps require, if they are valid."""
  dtype = weight.dtype
  if not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
    raise TypeError(f'arrays: weight: expected float32, got {dtype.name}.')
  weight = tf.cast(weight, tf.float32)
  is_wrong = ~(tf.math.is_finite(weight) & (weight >= 0))
  if bool(tf.reduce_any(is_wrong)):
    value, place = weight[is_wrong][0], tf.where(is_wrong)[0].numpy().tolist()
    raise ValueError(
        'arrays: weight: expected finite numbers of at least 0, got '
        f'{value.numpy()} at {place}; 0 excludes an example.'
    )
  return weight


def viewed(
    data: Mapping[str, Any], strategy: tf.distribute.Strategy
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
  """Views the data of all replicas by `float_bits.to_floats`.

  Args:
    data: Tensors as `copy` returned them on each replica.
    strategy: The strategy.

  Returns:
    The views, and what they view on the first replica.
  """
  of_replicas = []

  def view(mine: Mapping[str, Any]) -> Mapping[str, Any]:
    of_replicas.append(mine)
    return float_bits.to_floats(mine)

  return strategy.run(view, (data,)), of_replicas[0]


def row(
    rows: tf.Tensor, number: tf.Tensor, *, on_host: bool = False
) -> tf.Tensor:
  """Takes a row out of those of an epoch.

  Args:
    rows: All rows, int32 ``[num_batches, global_batch_size]``.
    number: The number of the row, int32 ``[]``.
    on_host: Whether to gather it in host memory, where TensorFlow keeps int32.

  Returns:
    int32 ``[global_batch_size]``.
  """
  with float_bits.on_host() if on_host else contextlib.nullcontext():
    return tf.gather(rows, number)


def batch(
    data: Mapping[str, Any],
    row: tf.Tensor,
    epoch: tf.Tensor | int,
    is_full: bool = False,
    like: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
  """Gathers this replica's part of a global batch.

  Args:
    data: Tensors ``[num_examples, ...]``.
    row: The positions of the batch's examples, int32 ``[global_batch_size]``,
      -1 for padding.
    epoch: The number of the epoch, int32 ``[]``.
    is_full: Whether no position is -1.
    like: What the data were before `float_bits.to_floats`, if they are viewed.

  Returns:
    The examples, and `index`, `epoch` and `weight`. All replicas get equally
    many examples, if necessary with padding of weight 0.
  """
  index, is_filled_up = _part(row)
  is_padded = is_filled_up or not is_full
  rows = tf.maximum(index, 0) if is_padded else index
  examples = rows_lib.take(data, rows)
  if like is not None:
    examples = float_bits.from_floats(examples, like)
  weight = tf.cast(index >= 0, tf.float32)
  gathered = {
      **examples,
      'index': index,
      'epoch': tf.fill(tf.shape(index), epoch),
      'weight': weight,
  }
  if 'weight' in examples:
    own = examples['weight']
    gathered['weight'] = checks.leading('weight', weight, own) * own
  elif not is_padded:
    gathered[padding.IS_PADDED] = False
  return gathered


def _part(row: tf.Tensor) -> tuple[tf.Tensor, bool]:
  """Returns this replica's part of a row, and whether parts are padded."""
  context = tf.distribute.get_replica_context()
  num_replicas = context.num_replicas_in_sync if context else 1
  if num_replicas == 1:
    return row, False
  [global_batch_size] = checks.sizes_of(row)
  missing = -global_batch_size % num_replicas
  is_filled_up = not isinstance(missing, int) or missing > 0
  if is_filled_up:
    row = tf.pad(row, [[0, missing]], constant_values=-1)
  parts = tf.reshape(row, [num_replicas, -1])
  return tf.gather(parts, context.replica_id_in_sync_group), is_filled_up
