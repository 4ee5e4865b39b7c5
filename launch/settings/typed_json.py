"""Conversion of dataclasses and their values to and from JSON.

JSON has lists for tuples and names for objects; values that are read are
checked against the types of the fields.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import math
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

GIVEN = 'given by a program'
"""The name of a part that is an object rather than a function."""


class Given:
  """Wraps an existing part as a function that returns it."""

  def __init__(self, part: Any):
    """Keeps the part."""
    self.part = part
    self.__name__ = GIVEN

  def __call__(self) -> Any:
    """Returns the part."""
    return self.part


def lists(value: Any) -> Any:
  """Converts a value to JSON: lists for tuples, names for objects."""
  if isinstance(value, Mapping):
    return {name: lists(item) for name, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [lists(item) for item in value]
  return name_of(value) if callable(value) else value


def tuples(value: Any) -> Any:
  """Returns a value with tuples for lists."""
  if isinstance(value, dict):
    return {name: tuples(item) for name, item in value.items()}
  if isinstance(value, (list, tuple)):
    return tuple(tuples(item) for item in value)
  return value


def name_of(part: Any) -> str:
  """Names a part as a flag does.

  Args:
    part: A name, which is returned unchanged, or an object.

  Returns:
    `package.module:name`, or `path/file.py:name` for objects of the main
    program; `GIVEN` for objects without a name.
  """
  if isinstance(part, str):
    return part
  if isinstance(part, (Given, functools.partial)):
    return GIVEN
  named = part if hasattr(part, '__qualname__') else type(part)
  module = named.__module__
  main = sys.modules.get('__main__')
  if module == '__main__' and main:
    spec = getattr(main, '__spec__', None)
    module = spec.name if spec else getattr(main, '__file__', module)
  return f'{module}:{named.__qualname__}'


def from_json(cls: Any, values: Any, required: Sequence[str] = ()) -> Any:
  """Reads a dataclass that was written as JSON.

  Args:
    cls: The dataclass.
    values: The content of the file.
    required: Required fields, in addition to those without a default.

  Returns:
    An object of the class.

  Raises:
    ValueError: If a field is unknown, missing, or of another type.
  """
  if not isinstance(values, dict):
    raise ValueError(f'it has {values!r} where a mapping of names is expected')
  fields = {field.name: field for field in dataclasses.fields(cls)}
  unknown = sorted(values.keys() - fields)
  if unknown:
    raise ValueError(
        f'it has {", ".join(unknown)}, which this version of Quatrain does not '
        'know: a newer one wrote it'
    )
  missing = [
      name
      for name, field in fields.items()
      if name not in values and (name in required or not _has_default(field))
  ]
  if missing:
    raise ValueError(f'it lacks {", ".join(missing)}')
  hints = typing.get_type_hints(cls)
  read = {name: tuples(value) for name, value in values.items()}
  for name, value in read.items():
    if not fits(value, hints[name]):
      raise ValueError(f'its {name} is {values[name]!r}')
  return cls(**read)


def _has_default(field: dataclasses.Field[Any]) -> bool:
  missing = dataclasses.MISSING
  return field.default is not missing or field.default_factory is not missing


def fits(value: Any, hint: Any) -> bool:
  """Returns whether a value is of a field's type, and finite if a number."""
  origin, args = typing.get_origin(hint), typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    return any(fits(value, each) for each in args)
  if origin is typing.Literal:
    return value in args
  if origin is collections.abc.Callable:
    return callable(value)
  if origin is tuple:
    if not isinstance(value, tuple):
      return False
    if args[-1] is Ellipsis:
      return all(fits(item, args[0]) for item in value)
    return len(value) == len(args) and all(map(fits, value, args))
  if origin is dict:
    return isinstance(value, dict) and all(
        isinstance(name, str) and fits(item, args[1])
        for name, item in value.items()
    )
  if hint is Any:
    return True
  if isinstance(value, bool) or hint is bool:
    return isinstance(value, bool) and hint is bool
  if isinstance(value, float) and not math.isfinite(value):
    return False  # JSON has no such numbers, but Python reads them.
  return isinstance(value, (int, float) if hint is float else hint)
