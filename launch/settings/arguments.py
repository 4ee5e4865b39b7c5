"""Named arguments of models, optimizers and schedules, given as flags.

`--model_arg=hidden_sizes=512,256` is an argument of the function that `--model`
names. The function's signature determines the valid names and types.
"""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import programs

_WORDS = {'true': True, 'false': False, 'none': None}
# Larger sizes do not fit into memory, and larger factors not into float32.
_MAX_INTEGER = 10**6
_MAX_FLOAT = 1e30
_MAX_ITEMS = 1_000
# An integer with a default below 16 counts layers and the like, which take time
# to build.
_FEW, _MAX_FEW = 16, 256
_DTYPES = ('float16', 'bfloat16', 'float32', 'float64')


def parse(flag: str, pairs: Sequence[str]) -> dict[str, Any]:
  """Parses `name=value` pairs.

  Args:
    flag: The name of the flag, for messages.
    pairs: The values of the flag, such as `['dropout_rate=0.1']`.

  Returns:
    Numbers, booleans, strings, or tuples of them (for values with commas), by
    name.

  Raises:
    UserError: If a pair has no `=`.
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
  """Checks parsed arguments against the parameters of a function.

  Args:
    flag: The name of the flag, for messages.
    values: The arguments by name, as `parse` returns them.
    known: The parameters of the function by name.

  Returns:
    The keyword arguments. Where the default is a tuple, a single value becomes
    a tuple of one, and an empty value an empty tuple.

  Raises:
    UserError: If a name is unknown, or a value is not finite, too large, or of
      another kind than the default or the annotation.
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
      value = () if value == '' else (value,)
    _check_size(f'--{flag}={name}', value, default)
    wrong = _unlike(value, known[name])
    if wrong:
      raise programs.UserError(f'--{flag}={name}={value}: expected {wrong}.')
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
  """Returns a function's parameters, except the positional ones named here."""
  return {
      name: parameter
      for name, parameter in inspect.signature(function).parameters.items()
      if name not in positional
  }


def _check_size(argument: str, value: Any, default: Any) -> None:
  """Raises UserError if a number, or the count of numbers, is too large."""
  items = value if isinstance(value, tuple) else (value,)
  if len(items) > _MAX_ITEMS:
    raise programs.UserError(
        f'{argument}: expected at most {_MAX_ITEMS:,} values, got '
        f'{len(items):,}.'
    )
  usual = default if isinstance(default, (tuple, list)) else (default,)
  is_few = all(isinstance(n, int) and 0 < n < _FEW for n in usual)
  most = _MAX_FEW if is_few and usual else _MAX_INTEGER
  for item in items:
    if isinstance(item, float) and not abs(item) <= _MAX_FLOAT:
      raise programs.UserError(
          f'{argument}={item}: expected a finite number, up to {_MAX_FLOAT:g}.'
      )
    if isinstance(item, int) and abs(item) > most:
      raise programs.UserError(
          f'{argument}: expected at most {most:,}, got '
          f'{item if item.bit_length() < 64 else "more"}.'
      )


def _unlike(value: Any, parameter: inspect.Parameter) -> str | None:
  """Returns what was expected, or None if the value fits the parameter."""
  default, annotation = parameter.default, str(parameter.annotation)
  if value is None and 'None' in annotation:
    return None
  if default is not None and default is not inspect.Parameter.empty:
    return (
        None
        if _fits(value, default)
        else f'a value like the default {default!r}'
    )
  # Without a default, only the annotation says what is expected.
  if 'DType' in annotation and value not in _DTYPES:
    return f'one of {", ".join(_DTYPES)}'
  if 'Mask' in annotation and not isinstance(value, str):
    return 'a regular expression'
  if 'float' in annotation or 'Scalar' in annotation:
    return None if _fits(value, 0.0) else 'a number'
  return None


def _fits(value: Any, default: Any) -> bool:
  if isinstance(default, bool) or isinstance(value, bool):
    return isinstance(default, bool) and isinstance(value, bool)
  if isinstance(default, float):
    return isinstance(value, (int, float))
  if isinstance(default, (tuple, list)):
    return isinstance(value, tuple) and all(
        not default or _fits(item, default[0]) for item in value
    )
  return isinstance(value, type(default))


def _literal(text: str) -> Any:
  """Reads a number, word or string; with a comma, a tuple of them."""
  if text.lower() in _WORDS:
    return _WORDS[text.lower()]
  try:
    with warnings.catch_warnings():  # Python warns about invalid escapes.
      warnings.simplefilter('ignore')
      value = ast.literal_eval(text)
  except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
    value = text
    if ',' in text:
      return tuple(_literal(part.strip()) for part in text.split(','))
  items = tuple(value) if isinstance(value, (tuple, list)) else (value,)
  if not all(isinstance(i, (bool, int, float, str, type(None))) for i in items):
    return text  # Sets, mappings, bytes and nested values are not supported.
  return items if isinstance(value, list) else value
