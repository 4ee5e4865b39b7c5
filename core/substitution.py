"""Copies of a module with other values in place of its variables.

Sonnet's modules read their variables as attributes. A copy can read other
values instead: the weights in half precision, their averages, or those of a
trial step. This corresponds to `apply(parameters, ...)` in JAX libraries.
"""

from __future__ import annotations

import collections
import copy as copy_lib
import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import tensorflow as tf

from . import checks, variables

T = TypeVar('T', bound=tf.Module)


def substitute(module: T, values: Mapping[str, tf.Tensor | tf.Variable]) -> T:
  """Copies a module with other values for some of its variables.

  The copy shares all other variables with the module. It copies the modules and
  containers that `core.variables.named` finds and shares all other objects. For
  example, a function stored as an attribute with a module in its closure still
  uses the original module. Assignments to attributes of the copied modules do
  not affect the originals.

  Copying only costs Python time: inside a `tf.function`, once per trace.

  Args:
    module: A module whose variables exist.
    values: Tensors or variables by the path of the variable they replace.
      Shapes must be equal; dtypes may differ.

  Returns:
    The copy. It has no variables where values are tensors.

  Raises:
    ValueError: If a path is not that of a variable, or a shape differs.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers, substitution
    >>> dense = layers.Dense(1)
    >>> dense.build([None, 2])
    >>> other = substitution.substitute(dense, {'linear/w': [[2.0], [3.0]]})
    >>> other(tf.constant([[1.0, 1.0]])).numpy().tolist()
    [[5.0]]
  """
  named = variables.named(module)
  copies: dict[int, Any] = {}
  for name, value in values.items():
    checks.one_of('values', name, list(named))
    if not isinstance(value, tf.Variable):
      value = tf.convert_to_tensor(value)
    copies[id(named[name])] = checks.shape(
        f'values: {name}', value, named[name].shape
    )

  def copy(part: Any) -> Any:
    if id(part) in copies:
      return copies[id(part)]
    if isinstance(part, tf.Module):
      # Registered before its parts are copied, which may refer to it.
      copies[id(part)] = new = object.__new__(type(part))
      for name, value in variables.attributes(part).items():
        setattr(new, name, copy(value))
      return new
    if dataclasses.is_dataclass(part) and isinstance(part, Mapping):
      new = copy_lib.copy(part)
      for name, value in part.items():
        object.__setattr__(new, name, copy(value))
      return new
    if isinstance(part, Mapping):
      return {key: copy(value) for key, value in part.items()}
    if isinstance(part, tuple) and hasattr(part, '_fields'):
      return part.__class__(*map(copy, part))
    if isinstance(part, tuple):
      return tuple(map(copy, part))
    if isinstance(part, collections.deque):
      return collections.deque(map(copy, part), part.maxlen)
    return list(map(copy, part)) if isinstance(part, list) else part

  return copy(module)
