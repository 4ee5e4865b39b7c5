"""What workers must agree on before they train together."""

from __future__ import annotations

import hashlib
import importlib.metadata
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from .. import about, programs
from . import meeting
from . import members as members_lib

# Other versions of these may compute or save something else.
_PACKAGES = ('tensorflow', 'dm-sonnet', 'numpy')
_OURS = ('core', 'pipelines', 'launch')
_MAX_VALUE = 60
_MAX_NAMES = 8


def of_program() -> meeting.Told:
  """Returns what a worker reports about its program: versions and code."""
  return {
      'program': about.name(),
      'quatrain': about.version(),
      'code of quatrain': _digest(pathlib.Path(__file__).parents[2]),
      'python': platform.python_version(),
      **{name: importlib.metadata.version(name) for name in _PACKAGES},
  }


def _digest(root: pathlib.Path) -> str:
  """Returns the hash of the sources of our packages."""
  digest = hashlib.sha256()
  for package in _OURS:
    for path in sorted((root / package).rglob('*.py')):
      digest.update(str(path.relative_to(root)).encode())
      digest.update(hashlib.sha256(path.read_bytes()).digest())
  return digest.hexdigest()


def check(
    members: members_lib.Members, everything: Sequence[Mapping[str, Any]]
) -> None:
  """Checks that all workers have reported the same values.

  Args:
    members: The workers.
    everything: What each has reported, in their order.

  Raises:
    UserError: If a value differs; every worker raises the same message, which
      names the values.
  """
  names = dict.fromkeys(name for told in everything for name in told)
  differing = [
      name
      for name in names
      if any(told.get(name) != everything[0].get(name) for told in everything)
  ]
  if not differing:
    return
  parts = [
      _describe(name, members, [told.get(name) for told in everything])
      for name in differing[:_MAX_NAMES]
  ]
  if more := len(differing) - _MAX_NAMES:
    parts += [f'and {more} more'] if more > 0 else []
  raise programs.UserError(
      f'{members.name(members.index)}: the workers differ in '
      f'{"; ".join(parts)}. Start all of them alike.'
  )


def _describe(
    name: str, members: members_lib.Members, values: Sequence[Any]
) -> str:
  """Describes which workers have which value."""
  groups: list[tuple[Any, list[int]]] = []
  for place, value in enumerate(values):
    for each, places in groups:
      if each == value:
        places.append(place)
        break
    else:
      groups.append((value, [place]))
  return f'{name}: ' + ', '.join(
      f'{_shown(value)} at {_who(members, places)}' for value, places in groups
  )


def _shown(value: Any) -> str:
  text = str(value)
  return text if len(text) <= _MAX_VALUE else f'{text[:12]}...'


def _who(members: members_lib.Members, places: list[int]) -> str:
  more = len(places) - 2
  named = members.names(places[:2])
  return f'{named} and {more} more' if more > 0 else named
