"""Named arguments of models, optimizers and schedules, given as flags.

`--model_arg=hidden_sizes=512,256` is an argument of whatever `--model` names:
what there is, and of which type, is read off the function's own signature.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import programs

_WORDS = {'true': True, 'false': False, 'none': None}


def parse(flag: str, pairs: Sequence[str]) -> dict[str, Any]:
  """Parses `name=value` pairs.

  Args:
    flag: The name of the flag, for messages.
    pairs: What the user gave, such as `['dropout_rate=0.1']`.

  Returns:
    Values by name: numbers, booleans, strings, and tuples of them for values
    with commas.

  Raises:
    UserError: If there is no `=`.
  """
  values = {}
  for pair in pairs:
    name, equals, text = pair.partition('=')
    if not equals:
      raise programs.UserError(f'--{flag}={pair}: expected NAME=VALUE.')
    values[name.strip()] = _literal(text.strip())
  return values


def checked(
    flag: str,
    values: Mapping[str, Any],
    known: Mapping[str, inspect.Parameter],
) -> dict[str, Any]:
  """Checks parsed arguments against the parameters of what takes them.

  Args:
    flag: The name of the flag, for messages.
    values: The arguments by name, as `parse` returns them.
    known: The parameters there are, by name, with their default values.

  Returns:
    The keyword arguments; a single value where a tuple is wanted is in one.

  Raises:
    UserError: If a name is unknown or a value is not of the default's kind.
  """
  result = {}
  for name, value in values.items():
    if name not in known:
      raise programs.UserError(
          f'--{flag}={name}: no such argument; there are: '
          f'{describe(known) or "none"}.'
      )
    default = known[name].default
    if isinstance(default, (tuple, list)) and not isinstance(value, tuple):
      value = (value,)
    if not _fits(value, default):
      raise programs.UserError(
          f'--{flag}={name}={value}: expected a value like the default '
          f'{default!r}.'
      )
    result[name] = value
  return result


def describe(known: Mapping[str, inspect.Parameter]) -> str:
  """Lists parameters with their default values, such as `rate=0.1`."""
  return ', '.join(
      name
      if parameter.default is inspect.Parameter.empty
      else f'{name}={parameter.default!r}'
      for name, parameter in known.items()
  )


def parameters(
    function: Callable[..., Any], *positional: str
) -> dict[str, inspect.Parameter]:
  """Lists a function's parameters, less those that the program itself gives."""
  return {
      name: parameter
      for name, parameter in inspect.signature(function).parameters.items()
      if name not in positional
  }


def _fits(value: Any, default: Any) -> bool:
  if default is None or default is inspect.Parameter.empty:
    return True
  if isinstance(default, bool) or isinstance(value, bool):
    return isinstance(default, bool) and isinstance(value, bool)
  if isinstance(default, float):
    return isinstance(value, (int, float))
  if isinstance(default, (tuple, list)):
    return not default or all(_fits(item, default[0]) for item in value)
  return isinstance(value, type(default))


def _literal(text: str) -> Any:
  """Reads a number, word or string; with a comma, a tuple of them."""
  if text.lower() in _WORDS:
    return _WORDS[text.lower()]
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    if ',' in text:
      return tuple(_literal(part.strip()) for part in text.split(','))
    return text
