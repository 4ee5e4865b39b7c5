"""The files of custom parts, as recorded by a run.

config.json has the path and hash of each custom part and of each neighboring
file that it imports. So a run is neither resumed nor evaluated with other code
unless its user agrees.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

from .. import config as config_lib
from .. import parts, programs
from ..settings import typed_json
from . import code_files, imports, own

_ONE = ('dataset', 'task', 'model', 'loss', 'optimizer', 'schedule', 'augment')
_SEVERAL = {'metrics': 'metric', 'hooks': 'hook'}


def sources(config: config_lib.Config) -> dict[str, dict[str, str]]:
  """Finds the files of a config's parts.

  Args:
    config: The config.

  Returns:
    See `code_files.Code`.

  Raises:
    UserError: If a part cannot be found.
  """
  found: dict[str, dict[str, str]] = {}
  for kind, part in _own(config):
    function = parts.find(kind, part)
    if isinstance(part, str):
      where = part.rpartition(':')[0]
      module = imports.module_of(where)
    else:
      while isinstance(function, functools.partial):
        function = function.func
      where = typed_json.name_of(function).rpartition(':')[0]
      name = getattr(function, '__module__', None) or type(function).__module__
      module = sys.modules[name]
    for index, (name, path) in enumerate(code_files.sources(module).items()):
      found[name if index else where] = {
          'path': str(path),
          'sha256': imports.digest(path),
      }
  return found


def _own(config: config_lib.Config) -> Iterator[tuple[str, Any]]:
  """Yields the kind and value of each custom part."""
  for kind in _ONE:
    part = getattr(config, kind)
    if own.is_part(part) and not isinstance(part, typed_json.Given):
      yield kind, part
  for name, kind in _SEVERAL.items():
    for part in getattr(config, name):
      if own.is_part(part):
        yield kind, part


def located(
    config: config_lib.Config,
    code: code_files.Code,
    workdir: pathlib.Path,
    *,
    accept_changes: bool,
) -> config_lib.Config:
  """Replaces the names of a run's parts by their recorded locations.

  Args:
    config: The config of a run.
    code: Its recorded code.
    workdir: Its work directory, from which no code is loaded.
    accept_changes: Whether to accept changed files.

  Returns:
    The config, which is independent of the current folder.

  Raises:
    UserError: If a file is missing or has changed.
  """
  if not list(_own(config)):
    return config
  known = {}
  for name, file in code.items():
    path = pathlib.Path(file['path']).resolve()
    if workdir.resolve() in path.parents:
      raise programs.UserError(
          f'--workdir={workdir}: its {name} is in the work directory itself,'
          ' from which code is never loaded; it was trained with a file'
          ' elsewhere.'
      )
    whose = code_files.origin(path)
    is_package = whose == 'an installed package'
    if whose and not (accept_changes and is_package):
      remedy = (
          'a package of parts says in its metadata that it requires quatrain; '
          'if you trust the run, take this one with --accept_changes'
          if is_package
          else 'no part of a run is a function of that'
      )
      raise programs.UserError(
          f'--workdir={workdir}: {name} is {path}, a file of {whose}, which a '
          f'run could use to call arbitrary functions; {remedy}.'
      )
    is_there = path.is_file()
    # An edited file is read again, so compare its present contents.
    is_unchanged = is_there and imports.digest_now(path) == file['sha256']
    if is_there and (is_unchanged or accept_changes):
      known[name] = path
    elif not accept_changes:
      what = 'has changed since the run was made' if is_there else 'is missing'
      raise programs.UserError(
          f'--workdir={workdir}: {path}, which the run uses, {what}. '
          'Restore it, or accept the present code with --accept_changes.'
      )

  def renamed(part: Any) -> Any:
    if not isinstance(part, str) or not own.is_part(part):
      return part
    where, _, name = part.rpartition(':')
    if where not in code and not accept_changes:
      raise programs.UserError(
          f'--workdir={workdir}: the file of {part} is not recorded; accept '
          'the present file with --accept_changes.'
      )
    return f'{known[where]}:{name}' if where in known else part

  changes: dict[str, Any] = {
      name: renamed(getattr(config, name)) for name in _ONE
  }
  for name in _SEVERAL:
    changes[name] = tuple(map(renamed, getattr(config, name)))
  return dataclasses.replace(config, **changes)
