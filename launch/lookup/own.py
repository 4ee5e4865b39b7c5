"""Custom parts: their names, and messages about their errors."""

from __future__ import annotations

import contextlib
import functools
import inspect
import pathlib
import traceback
import types
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from .. import programs
from . import code_files, imports

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
    text = described(error)
    if is_part(part):
      text = f'{text.rstrip(".")}{place(error, function)}'
    raise programs.UserError(f'{flag}: {text}') from error


def described(error: Exception) -> str:
  """Returns the message of an error in one line, with its type if needed.

  Checks of Quatrain and of the user's code describe the mistake; others need
  the type too.
  """
  text = programs.reason(error)
  last = pathlib.Path(traceback.extract_tb(error.__traceback__)[-1].filename)
  origin = code_files.origin(last.resolve())
  if origin == 'Quatrain' or (not origin and isinstance(error, ValueError)):
    return text
  return f'{type(error).__name__}: {text}'


def place(error: Exception, function: Any) -> str:
  """Returns file and line of a custom part's error, in parentheses.

  Args:
    error: The error.
    function: The part.

  Returns:
    The innermost line of the user's code, or else the line of the function, as
    when its result is wrong; nothing if neither is known.
  """
  code = _code(function)
  where = imports.place(error, _file(function))
  if not where and code and imports.is_users(code.co_filename):
    where = f'{code.co_filename}, line {code.co_firstlineno}'
  return where and f' ({where})'


def _file(function: Any) -> str:
  """Returns the file of a part, which is the user's unless it is ours."""
  if isinstance(function, functools.partial):
    return _file(function.func)
  if not isinstance(function, type) and not inspect.isroutine(function):
    function = type(function)
  try:
    file = inspect.getfile(function)
  except (TypeError, OSError):  # Defined in a notebook.
    return ''
  return '' if _is_ours(file) else file


def _is_ours(file: str) -> bool:
  return code_files.origin(pathlib.Path(file).resolve()) == 'Quatrain'


def _code(function: Any) -> types.CodeType | None:
  """Returns the code object of a callable written in Python, else None."""
  if isinstance(function, functools.partial):
    return _code(function.func)
  if isinstance(function, type):
    init = inspect.getattr_static(function, '__init__')
    function = inspect.getattr_static(function, '__call__', init)
  elif not hasattr(function, '__code__'):
    function = getattr(function, '__func__', type(function).__call__)
  return getattr(inspect.unwrap(function), '__code__', None)
