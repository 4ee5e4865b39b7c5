"""Nests of parameters and gradients: their names, checks and dtypes."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .. import checks

Nest = Any


def paths(nest: Nest) -> list[str]:
  """Returns the name of every leaf, in the order of `tf.nest.flatten`.

  Args:
    nest: A nest of tensors or variables.

  Returns:
    The keys, indices and field names from the top to each leaf, joined by '/'.
    The names of a flat dictionary are its keys.

  Raises:
    ValueError: If two leaves have the same name, as in ``{'a/b': x, 'a': {'b':
      y}}``.

  Example:
    >>> from core.optimizers import nests
    >>> nests.paths({'linear/w': 1.0, 'heads': [2.0, 3.0]})
    ['heads/0', 'heads/1', 'linear/w']
  """
  names = _paths(nest)
  (name, count), *_ = collections.Counter(names).most_common(1) or [('', 0)]
  if count > 1:
    raise ValueError(
        f'parameters: two of them have the path {name!r}; rename one.'
    )
  return names


def _paths(nest: Nest) -> list[str]:
  if not tf.nest.is_nested(nest):
    return ['']
  return [
      f'{name}/{path}' if path else str(name)
      for name, child in children(nest)
      for path in _paths(child)
  ]


def children(nest: Nest) -> list[tuple[Any, Nest]]:
  """Returns the named parts of a nest, in the order of `tf.nest.flatten`.

  A tensor, or anything else that `tf.nest` takes for a leaf, has none.
  """
  if not tf.nest.is_nested(nest):
    return []
  if hasattr(nest, '_fields'):
    return list(nest._asdict().items())
  if isinstance(nest, Sequence):
    return list(enumerate(nest))
  return [(key, nest[key]) for key in sorted(nest)]


def widen(tensor: tf.Tensor | tf.Variable) -> tf.Tensor:
  """Returns a tensor in float32 or float64: half precision loses sums."""
  tensor = tf.convert_to_tensor(tensor)
  return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def _dense(path: str, gradient: Any, parameter: tf.Tensor) -> tf.Tensor:
  """Returns a gradient as a wide tensor with the shape of its parameter."""
  if gradient is None:
    raise ValueError(
        f'gradients: {path!r} is None; differentiate with '
        'unconnected_gradients=tf.UnconnectedGradients.ZERO.'
    )
  if isinstance(gradient, tf.IndexedSlices):
    # Duplicate rows are added.
    gradient = tf.math.unsorted_segment_sum(
        widen(gradient.values), gradient.indices, parameter.shape[0]
    )
  gradient = tf.cast(tf.convert_to_tensor(gradient), parameter.dtype)
  if not gradient.shape.is_compatible_with(parameter.shape):
    raise ValueError(
        f'gradients: {path!r} has shape {gradient.shape}, but its parameter '
        f'has {parameter.shape}.'
    )
  _, gradient = checks.same_shape(
      **{'parameters': parameter, f'gradients: {path}': gradient}
  )
  return gradient


def dense_gradients(gradients: Nest, parameters: Nest) -> Nest:
  """Returns gradients as tensors with the parameters' shapes and dtypes.

  Gradients are tensors or `tf.IndexedSlices`.

  Raises:
    ValueError: If structures or shapes differ or a gradient is None.
  """
  names, gradient_names = paths(parameters), paths(gradients)
  if names != gradient_names:
    differing = sorted(set(names) ^ set(gradient_names))
    raise ValueError(
        'gradients: expected the structure of the parameters; only one of them '
        f'has {differing}.'
    )
  leaves = map(
      _dense, names, tf.nest.flatten(gradients), tf.nest.flatten(parameters)
  )
  return tf.nest.pack_sequence_as(parameters, list(leaves))


def where(condition: tf.Tensor, if_true: Nest, if_false: Nest) -> Nest:
  """Selects one of two nests of equal structure by a boolean scalar."""
  condition = checks.shape('condition', condition, [])

  def choose(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    one, other = checks.same_shape(if_true=one, if_false=other)
    return tf.where(condition, one, other)

  return tf.nest.map_structure(choose, if_true, if_false)


def scalar(value: float | tf.Tensor, dtype: tf.DType) -> tf.Tensor:
  """Returns a hyper-parameter, a number or a scalar, as a scalar of a dtype."""
  if tf.is_tensor(value):
    return tf.cast(value, dtype)
  return tf.constant(value, dtype)


def times(factor: float | tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
  """Multiplies a tensor by a number, or by a scalar of any floating dtype."""
  if tf.is_tensor(factor):
    factor = checks.shape('schedule', tf.cast(factor, tensor.dtype), [])
  return factor * tensor


def zeros_like(nest: Nest, dtype: tf.DType | None = None) -> Nest:
  """Returns zeros with a nest's shapes, and its dtypes or a given one."""
  return tf.nest.map_structure(
      lambda tensor: tf.zeros(tensor.shape, dtype or tensor.dtype), nest
  )


def cast_like(nest: Nest, like: Nest) -> Nest:
  """Returns a nest in the dtypes of another of the same structure."""
  return tf.nest.map_structure(
      lambda tensor, other: tf.cast(tensor, other.dtype), nest, like
  )
