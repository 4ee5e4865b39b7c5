"""Which variables of a model are which of a checkpoint: a matter of names.

A variable is described by its type and shape, as in `float32 [16, 3]`. One is
looked for under its own name, or under what `--init_map` makes of it, and fits
if it is described in the same way.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping

from . import config as config_lib
from . import imports, programs

# How many names an error has room for.
_MOST_NAMES = 50


@dataclasses.dataclass(frozen=True)
class Matched:
  """What of a checkpoint goes where.

  Attributes:
    pairs: The name in the checkpoint of each variable that fits, by its name in
      the model.
    kept: Why those that do not fit keep their initial values, by name.
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
    config: The config, whose `init_pattern` says which are taken, and whose
      `init_map` what they are called in the checkpoint.
    model: The descriptions of the model's variables by name.
    saved: The descriptions of the checkpoint's, likewise.

  Returns:
    What goes where; at least one does.

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
        f'--init_pattern={config.init_pattern}: no variable has a name that it '
        f'matches as a whole; there are: {_some(model)}.'
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
  """Returns what a variable is called in the checkpoint."""
  rests = {new: _below(name, new) for new in names}
  of_parts = [new for new in names if rests[new] is not None]
  if not of_parts:
    return name
  new = max(of_parts, key=len)  # The most specific one.
  return '/'.join(filter(None, (names[new].strip('/'), rests[new])))


def _below(name: str, part: str) -> str | None:
  """Returns the rest of a name below a part of a model; None if not in it."""
  part = part.strip('/')
  if name == part:
    return ''
  if not part:
    return name
  return name[len(part) + 1 :] if name.startswith(f'{part}/') else None


def _check_part(flag: str, where: str, part: str, names: Iterable[str]) -> None:
  """Checks that there are variables in a part.

  Raises:
    UserError: If there are none.
  """
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
  """Returns two names without the parts at their ends that are equal."""
  one, other = new.split('/'), old.split('/')
  while one and other and one[-1] == other[-1]:
    one.pop()
    other.pop()
  return '/'.join(one), '/'.join(other)


def _some(names: Iterable[str]) -> str:
  names = list(names)
  more = len(names) - _MOST_NAMES
  return ', '.join(names[:_MOST_NAMES]) + f' and {more} more' * (more > 0)
