"""A module with other values in the place of its variables.

Sonnet's modules read their variables as attributes; here a copy of a module
reads something else: the same weights in half precision, their averages, or the
values of a step that is only tried. It is what `apply(parameters, ...)` is to
JAX's libraries.
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
  """Copies a module, with other values for some of its variables.

  The copy shares all other variables with the module and is made of the modules
  and containers that `core.variables.named` finds; anything else is the same
  object in both. So a function that is kept as an attribute and has a module in
  its closure goes on with that module. What the copy's modules assign to their
  attributes stays in the copy.

  Copying costs Python's time only: inside of a `tf.function`, once a trace.

  Args:
    module: A module whose variables exist.
    values: Tensors or variables by the path of what they stand in for; their
      shapes must be the same, their types need not.

  Returns:
    The copy. Where a value is a tensor, it has no variable.

  Raises:
    ValueError: If a name is not that of a variable, or the shape differs.

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
      # Entered before its parts, which may lead back to it.
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
