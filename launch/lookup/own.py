"""Custom parts: their names, and messages about their errors."""

from __future__ import annotations

import contextlib
import functools
import inspect
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from .. import programs
from . import imports

# Flags of kinds that allow several parts.
_FLAGS = {'metric': 'metrics', 'hook': 'hooks'}
_MISTAKES = (ValueError, TypeError, tf.errors.InvalidArgumentError)


def flag_of(kind: str) -> str:
  """Returns the flag of a kind, such as `metrics` for `metric`."""
  return _FLAGS.get(kind, kind)


def is_part(part: Any) -> bool:
  """Returns whether the value of a flag is a custom part, not a built-in name.

  The value of --dataset may also start with a prefix, such as `npz:`.
  """
  if not isinstance(part, str):
    return callable(part)
  where, _, name = part.rpartition(':')
  is_name = all(each.isidentifier() for each in name.split('.'))
  is_module = all(each.isidentifier() for each in where.split('.'))
  return (
      is_name
      and (where.endswith('.py') or is_module)
      and (where not in ('tfds', 'npz', 'csv', 'folder'))
  )


def name_of(function: Any) -> str:
  """Returns the name of a function, which its values also have."""
  if isinstance(function, functools.partial):
    return name_of(function.func)
  return getattr(function, '__name__', type(function).__name__)


def shown(part: Any) -> str:
  """Returns the value of a flag as text."""
  return part if isinstance(part, str) else name_of(part)


@contextlib.contextmanager
def mistakes_in(
    kind: str, part: Any, given: Mapping[str, Any], function: Any
) -> Iterator[None]:
  """Converts errors in the block to one line that names the flags.

  Args:
    kind: The kind of a part.
    part: The value of its flag.
    given: The user's arguments.
    function: The part.

  Raises:
    UserError: For invalid arguments, and for any error in a custom part, with
      file and line.
  """
  try:
    yield
  except programs.Failure:
    raise
  except Exception as error:
    if not is_part(part) and not isinstance(error, _MISTAKES):
      raise
    prefix = f'{name_of(function)}.' if kind in _FLAGS else ''
    pairs = ' '.join(
        f'--{kind}_arg={prefix}{key}={value}' for key, value in given.items()
    )
    flag = f'--{flag_of(kind)}={shown(part)} {pairs}'.rstrip()
    text = str(error)
    if is_part(part):
      if not isinstance(error, ValueError):
        text = f'{type(error).__name__}: {text}'
      text = f'{text.rstrip(".")} ({_place(error, function)})'
    raise programs.UserError(f'{flag}: {text}') from error


def _place(error: Exception, function: Any) -> str:
  """Returns file and line, preferably in the folder of a function's file."""
  while isinstance(function, functools.partial):
    function = function.func
  if not isinstance(function, type) and not inspect.isroutine(function):
    function = type(function)
  try:
    folder = pathlib.Path(inspect.getfile(function)).parent
  except (TypeError, OSError):  # Defined in a notebook.
    folder = pathlib.Path.cwd()
  return imports.place(error, folder)
