"""The variables of a module, by the path of attributes to each.

The name of a variable need not be unique (two layers may both be `linear`), but
its path of attributes is, and shows where it is in the source:
`layers/0/linear/w`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from . import hidden_variables

_NO_CONTAINERS = (str, bytes, bytearray, memoryview, range)


def named(module: Any) -> dict[str, tf.Variable]:
  """Finds all variables of a module, or of a nest of variables.

  The variables found are trained, averaged, saved and exported; they are the
  same as in `tf.Module.variables`. If the module holds a variable elsewhere,
  where neither would find it, an error is raised.

  Args:
    module: A `tf.Module`, a variable, or a mapping, list, tuple or named tuple
      of them, nested to any depth.

  Returns:
    Variables by path, in the order of attribute names. A variable reachable by
    several paths is listed under the first.

  Raises:
    ValueError: If two variables have the same path, or one can be reached only
      through places that are not searched, such as a set, a dataclass, a
      closure, a class, or a Keras layer. The message has its path.
  """
  found: dict[str, tf.Variable] = {}
  others: list[tuple[tuple[str, ...], Any]] = []
  beside: list[tuple[tuple[str, ...], Any]] = []
  seen: dict[int, Any] = {}  # Holds the objects, so that ids are not reused.

  def visit(value: Any, path: tuple[str, ...]) -> None:
    if id(value) in seen:
      return
    seen[id(value)] = value
    if isinstance(value, tf.Variable):
      name = '/'.join(path)
      if name in found:
        raise ValueError(f'module: two variables are called {name}.')
      found[name] = value
      return
    parts = children(value)
    if parts is None:
      others.append((path, value))
      return
    for name, child in parts:
      visit(child, (*path, name))
    beside.extend(
        ((*path, name), part)
        for name, part in hidden_variables.unsearched(value)
    )

  visit(module, ())
  hidden_variables.refuse(others, seen, children, beside)
  return found


def trainable(module: Any) -> dict[str, tf.Variable]:
  """Finds the trainable variables of a module.

  Args:
    module: As for `named`.

  Returns:
    The trainable variables by path.
  """
  return {
      name: variable
      for name, variable in named(module).items()
      if variable.trainable
  }


def untrained(module: Any) -> dict[str, tf.Variable]:
  """Finds the non-trainable variables of a module, such as moving averages.

  Args:
    module: As for `named`.

  Returns:
    The non-trainable variables by path.
  """
  return {
      name: variable
      for name, variable in named(module).items()
      if not variable.trainable
  }


def attributes(module: tf.Module) -> dict[str, Any]:
  """Returns the attributes of a module, without TensorFlow's bookkeeping.

  Args:
    module: The module.

  Returns:
    Values by name: all those in which `tf.Module` looks for variables.
  """
  ignored = _bookkeeping() | module._TF_MODULE_IGNORED_PROPERTIES
  return {
      name: value for name, value in vars(module).items() if name not in ignored
  }


@functools.cache
def _bookkeeping() -> frozenset[str]:
  """Returns the attributes in which modules track their dependencies."""
  module = tf.Module()
  module.child = tf.Module()
  return frozenset(name for name in vars(module) if name.startswith('_self_'))


def children(value: Any) -> Iterator[tuple[str, Any]] | None:
  """Returns the named parts of a module or a container.

  Args:
    value: Any object.

  Returns:
    Pairs of a name and a part, or None if the value is neither.
  """
  if isinstance(value, tf.Module):
    parts = attributes(value)
    return ((name.lstrip('_') or name, parts[name]) for name in sorted(parts))
  if isinstance(value, Mapping):
    return ((str(name), value[name]) for name in sorted(value, key=str))
  if isinstance(value, tuple) and hasattr(value, '_fields'):
    return zip(value._fields, value, strict=True)
  if isinstance(value, Sequence) and not isinstance(value, _NO_CONTAINERS):
    return ((str(index), child) for index, child in enumerate(value))
  return None


def digest(variables: Mapping[str, tf.Variable]) -> str:
  """Hashes names, dtypes, shapes and values, for exact comparisons of runs.

  Args:
    variables: The variables by name, in any order.

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
  """Describes each variable, for a table of a model's parameters.

  Args:
    variables: The variables by name.

  Returns:
    For each variable, its `name`, `shape`, `dtype`, `count` and `bytes`.
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
  """Lists the variables that hold a NaN or an infinity.

  Args:
    variables: The variables by name.

  Returns:
    The names of the floating-point variables that do. The check runs eagerly on
    their devices and reads back one small vector.
  """
  floating = {n: v for n, v in variables.items() if v.dtype.is_floating}
  if not floating:
    return []
  are_finite = tf.stack([
      tf.reduce_all(tf.math.is_finite(variable))
      for variable in floating.values()
  ])
  return [
      name
      for name, is_finite in zip(floating, are_finite.numpy(), strict=True)
      if not is_finite
  ]
