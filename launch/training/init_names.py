"""Matches the variables of a model with those of a checkpoint, by name.

A variable is looked up under its own name, or under the name that `--init_map`
gives it. It fits if its description, dtype and shape such as `float32 [16, 3]`,
is the same.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping

from .. import config as config_lib
from .. import programs
from ..lookup import imports

# The maximum number of names in an error message.
_MOST_NAMES = 50


@dataclasses.dataclass(frozen=True)
class Matched:
  """The result of matching a model with a checkpoint.

  Attributes:
    pairs: The names in the checkpoint of the variables that fit, by name in the
      model.
    kept: The reasons why other variables keep their initial values, by name.
    left_out: The names that `--init_pattern` does not match.
    unused: The names in the checkpoint that no variable of the model has.
  """

  pairs: Mapping[str, str]
  kept: Mapping[str, str]
  left_out: tuple[str, ...]
  unused: tuple[str, ...]


def match(
    config: config_lib.Config,
    model: Mapping[str, str],
    saved: Mapping[str, str],
) -> Matched:
  """Finds the variables of a model in a checkpoint.

  Args:
    config: The config. Its `init_pattern` selects variables, and its `init_map`
      gives their names in the checkpoint.
    model: The descriptions of the model's variables by name.
    saved: The descriptions of the checkpoint's variables by name.

  Returns:
    The result, with at least one pair.

  Raises:
    UserError: If nothing fits, or a pattern or a name matches nothing.
  """
  for new, old in config.init_map.items():
    flag = f'--init_map={new}={old}'
    _check_part(flag, 'the model', new, model)
    _check_part(flag, 'the checkpoint', old, saved)
  names = {name: _renamed(name, config.init_map) for name in model}
  wanted = [
      name
      for name in model
      if config.init_pattern is None or re.fullmatch(config.init_pattern, name)
  ]
  if not wanted:
    raise programs.UserError(
        f'--init_pattern={config.init_pattern}: it matches no whole name of a '
        f'variable; there are: {_some(model)}.'
    )
  pairs, kept = {}, {}
  for name in wanted:
    old = names[name]
    if old not in saved:
      kept[name] = 'it is not there' + f', as {old}' * (old != name)
    elif saved[old] != model[name]:
      kept[name] = f'it is {model[name]} here, {saved[old]} there'
    else:
      pairs[name] = old
  if not pairs:
    found, here = (
        _some(f'{name} {of[name]}' for name in of)
        for of in (saved, {name: model[name] for name in wanted})
    )
    raise programs.UserError(
        f'--init_from={config.init_from}: nothing of it fits. It has '
        f'{found or "no variables"}; the model has {here}'
        f'{_suggestion(wanted, model, saved)}.'
    )
  return Matched(
      pairs,
      kept,
      tuple(name for name in model if name not in wanted),
      tuple(sorted(saved.keys() - names.values())),
  )


def _renamed(name: str, names: Mapping[str, str]) -> str:
  """Returns the name of a variable in the checkpoint."""
  rests = {new: _below(name, new) for new in names}
  of_parts = [new for new in names if rests[new] is not None]
  if not of_parts:
    return name
  new = max(of_parts, key=len)  # The most specific one.
  return '/'.join(filter(None, (names[new].strip('/'), rests[new])))


def _below(name: str, part: str) -> str | None:
  """Returns the rest of a name inside a part of a model, or None."""
  part = part.strip('/')
  if name == part:
    return ''
  if not part:
    return name
  return name[len(part) + 1 :] if name.startswith(f'{part}/') else None


def _check_part(flag: str, where: str, part: str, names: Iterable[str]) -> None:
  """Raises UserError if a part has no variables."""
  if any(_below(name, part) is not None for name in names):
    return
  parts = dict.fromkeys(
      each
      for name in names
      for each in itertools.accumulate(name.split('/'), '{}/{}'.format)
  )
  raise programs.UserError(
      f'{flag}: {where} has no {part.strip("/")}, but {_some(names)}'
      f'{imports.near(part.strip("/"), parts) or "."}'
  )


def _suggestion(
    wanted: Iterable[str], model: Mapping[str, str], saved: Mapping[str, str]
) -> str:
  """Suggests the `--init_map` under which most variables would fit."""
  votes = collections.Counter(
      _beginnings(new, old)
      for new, old in itertools.product(wanted, saved)
      if model[new] == saved[old]
  )
  for (new, old), _ in votes.most_common(1):
    return f'; did you mean --init_map={new}={old}'
  return ''


def _beginnings(new: str, old: str) -> tuple[str, str]:
  """Returns two names without their common last parts."""
  one, other = new.split('/'), old.split('/')
  while one and other and one[-1] == other[-1]:
    one.pop()
    other.pop()
  return '/'.join(one), '/'.join(other)


def _some(names: Iterable[str]) -> str:
  names = list(names)
  more = len(names) - _MOST_NAMES
  return ', '.join(names[:_MOST_NAMES]) + f' and {more} more' * (more > 0)
