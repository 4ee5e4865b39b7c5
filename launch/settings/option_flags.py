"""Defines and reads options as flags."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from absl import flags

from .. import programs
from . import arguments, command_line, flag_types, options

flags.disclaim_key_flags()  # A flag belongs to the program that requests it.

_Options = TypeVar('_Options', bound=options.Options)


def define(cls: type[options.Options], *names: str) -> tuple[str, ...]:
  """Defines flags of the calling program.

  Args:
    cls: The options.
    *names: The names of the options to define. Default: all.

  Returns:
    Their names.

  Raises:
    ValueError: If there is no such option.
  """
  hints = typing.get_type_hints(cls)
  fields = {field.name: field for field in dataclasses.fields(cls)}
  unknown = set(names) - set(fields)
  if unknown:
    raise ValueError(f'names: there is no option {min(unknown)!r}.')
  command_line.FORMER.update(options.former(cls))
  for name, field in fields.items():
    if not names or name in names:
      _define(name, hints[name], field.default, field.metadata['option'])
  return names or tuple(fields)


def _define(name: str, hint: Any, default: Any, spec: options.Option) -> None:
  """Defines the flag of an option, according to its type."""
  bounds: Any = {'lower_bound': spec.low, 'upper_bound': spec.high}
  plain, words = options.plain(hint)
  origin, args = typing.get_origin(plain), typing.get_args(plain)
  if spec.path:
    flag_types.DEFINE_path(
        name,
        spec.help,
        may_be_empty=spec.path == 'empty',
        may_be_remote=spec.path == 'remote',
    )
  elif plain is bool:
    flags.DEFINE_bool(name, default, spec.help)
  elif plain is int:
    flags.DEFINE_integer(name, default, spec.help, **bounds)
  elif plain is float:
    flags.DEFINE_float(name, default, spec.help, **bounds)
  elif spec.choices:
    flags.DEFINE_enum(name, default, spec.choices, spec.help)
  elif plain == options.Arguments:
    flags.DEFINE_multi_string(name, [], spec.help)
  elif origin is tuple and args[0] in (int, float):
    flag_types.DEFINE_numbers(
        name,
        spec.help,
        kind=args[0],
        low=typing.cast(float, spec.low),
        high=typing.cast(float, spec.high),
        names=spec.names,
        words=words,
    )
  elif origin in (tuple, dict):
    flags.DEFINE_list(name, [], spec.help)
  else:
    flags.DEFINE_string(name, default, spec.help)


def read(cls: type[_Options], *names: str) -> _Options:
  """Reads flags defined by `define`, after they are parsed.

  Args:
    cls: The options.
    *names: The names of the options to read. Default: all.

  Returns:
    The options.

  Raises:
    UserError: If a value is not valid.
  """
  hints = typing.get_type_hints(cls)
  values = {
      name: _of_flag(name, hints[name], flags.FLAGS[name].value)
      for name in names or options.declared(cls)
  }
  try:
    return cls(**values)
  except ValueError as error:
    raise programs.UserError(f'--{error}') from None


def _of_flag(name: str, hint: Any, value: Any) -> Any:
  """Converts the value of a flag to that of its option."""
  if hint == options.Arguments:
    return arguments.parse(name, value)
  if hint == options.Factors:
    return _factors(name, value)
  if hint == options.Names:
    return _names(name, value)
  return tuple(value) if isinstance(value, list) else value


def _factors(name: str, pairs: Sequence[str]) -> options.Factors:
  """Reads PATTERN=FACTOR pairs; a pattern may contain an equals sign."""
  result = {}
  for pair in pairs:
    pattern, _, factor = pair.rpartition('=')
    try:
      result[pattern] = float(factor)
    except ValueError:
      pattern = ''
    if not pattern:
      raise programs.UserError(
          f'--{name}={pair}: expected PATTERN=FACTOR, with commas between them.'
      )
  return result


def _names(name: str, pairs: Sequence[str]) -> options.Names:
  """Reads NEW=OLD pairs."""
  result: options.Names = {}
  for pair in pairs:
    new, equals, old = pair.partition('=')
    if not equals or new == old or new in result:
      raise programs.UserError(
          f'--{name}={pair}: expected NEW=OLD, with commas between them and '
          'each NEW once.'
      )
    result[new] = old
  return result
