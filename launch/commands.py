"""Converts configs to flags and shell commands."""

from __future__ import annotations

import shlex
import typing
from typing import Any

from . import config as config_lib
from .settings import options, typed_json


def flags(config: config_lib.Config) -> list[str]:
  """Returns the flags of `launch.train` for a config, without default values.

  Functions are written as `package.module:name`, objects without a name as
  `given by a program`.
  """
  plain = config_lib.Config()
  hints = typing.get_type_hints(type(config))
  result = []
  for name, value in vars(config).items():
    if value == getattr(plain, name):
      continue
    value = typed_json.lists(value)
    if not isinstance(value, dict):
      result.append(f'--{name}={_text(value)}')
    elif hints[name] == options.Arguments:
      result += [f'--{name}={key}={_argument(v)}' for key, v in value.items()]
    else:
      result.append(
          f'--{name}=' + ','.join(f'{key}={v}' for key, v in value.items())
      )
  return result


def line(program: str, arguments: list[str]) -> str:
  """Returns a shell command, with one flag per line if it is long."""
  whole = shlex.join(['python', '-m', f'launch.{program}', *arguments])
  if len(whole) < 80:
    return whole
  parts = [f'python -m launch.{program}', *map(shlex.quote, arguments)]
  return ' \\\n  '.join(parts)


def _text(value: Any) -> str:
  return ','.join(map(str, value)) if isinstance(value, list) else str(value)


def _argument(value: Any) -> str:
  # A trailing comma marks a tuple with one element.
  is_single = isinstance(value, list) and len(value) == 1
  return _text(value) + ',' * is_single
