"""The variables of a module by name: the path of attributes to each.

A variable's own name need not be unique (two layers may both be `linear`); the
path of attributes that leads to it is, and a reader finds it in the source:
`layers/0/linear/w`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf


def named(module: Any) -> dict[str, tf.Variable]:
  """Finds every variable of a module, or of a nest of variables.

  Args:
    module: A `tf.Module`, a variable, or a mapping, list, tuple or named tuple
      of them, nested to any depth.

  Returns:
    Variables by path, in the order of attribute names. One that is reached by
    several paths is given under the first.

  Raises:
    ValueError: If two variables would have the same path.
  """
  found: dict[str, tf.Variable] = {}
  seen: set[int] = set()

  def visit(value: Any, path: tuple[str, ...]) -> None:
    if id(value) in seen:
      return
    seen.add(id(value))
    if isinstance(value, tf.Variable):
      name = '/'.join(path)
      if name in found:
        raise ValueError(f'module: two variables are called {name}.')
      found[name] = value
    else:
      for name, child in _children(value):
        visit(child, (*path, name))

  visit(module, ())
  return found


def trainable(module: Any) -> dict[str, tf.Variable]:
  """Finds the trainable variables of a module.

  Args:
    module: As for `named`.

  Returns:
    Trainable variables by path.
  """
  return {
      name: variable
      for name, variable in named(module).items()
      if variable.trainable
  }


def _children(value: Any) -> Iterator[tuple[str, Any]]:
  """Yields the named parts of a module or a container."""
  if isinstance(value, tf.Module):
    for name in sorted(vars(value)):
      # Underscored attributes of tf.Module itself hold caches, not parts.
      if not name.startswith(('_self_', '_tf', '__')):
        yield name.lstrip('_'), vars(value)[name]
  elif isinstance(value, Mapping):
    for name in sorted(value, key=str):
      yield str(name), value[name]
  elif isinstance(value, tuple) and hasattr(value, '_fields'):
    yield from zip(value._fields, value, strict=True)
  elif isinstance(value, (list, tuple)):
    for index, child in enumerate(value):
      yield str(index), child


def digest(variables: Mapping[str, tf.Variable]) -> str:
  """Hashes names, types, shapes and values, to compare two runs to the bit.

  Args:
    variables: The variables by name; their order does not matter.

  Returns:
    The SHA-256 as 64 hexadecimal digits.
  """
  sha = hashlib.sha256()
  for name in sorted(variables):
    value = np.ascontiguousarray(variables[name].numpy())
    sha.update(f'{name} {value.dtype} {value.shape}\n'.encode())
    sha.update(value.tobytes())
  return sha.hexdigest()


def overview(variables: Mapping[str, tf.Variable]) -> list[dict[str, Any]]:
  """Describes each variable, as for a table of a model's parameters.

  Args:
    variables: The variables by name.

  Returns:
    For each a mapping of `name`, `shape`, `dtype`, `count` and `bytes`.
  """
  return [
      {
          'name': name,
          'shape': tuple(variable.shape),
          'dtype': variable.dtype.name,
          'count': variable.shape.num_elements(),
          'bytes': variable.shape.num_elements() * variable.dtype.size,
      }
      for name, variable in variables.items()
  ]


def non_finite(variables: Mapping[str, tf.Variable]) -> list[str]:
  """Names the variables that hold a NaN or an infinity.

  Args:
    variables: The variables by name.

  Returns:
    The names, eagerly.
  """
  return [
      name
      for name, variable in variables.items()
      if variable.dtype.is_floating
      and not bool(tf.reduce_all(tf.math.is_finite(variable)))
  ]
