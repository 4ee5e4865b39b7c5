"""Finds the source files of a user's code."""

from __future__ import annotations

import ast
import importlib.metadata
import itertools
import pathlib
import re
import sysconfig
import types
from collections.abc import Iterator, Mapping
from typing import Any

Code = Mapping[str, Mapping[str, str]]
"""The `path` and `sha256` of each file. The key is the part's file or module as
it was given, or the module name for files that a part imports."""
_OURS = tuple(
    pathlib.Path(__file__).resolve().parents[2] / name
    for name in ('core', 'pipelines', 'launch')
)
_INSTALLED = {
    pathlib.Path(sysconfig.get_path(name)).resolve()
    for name in ('stdlib', 'purelib', 'platlib')
}
_PACKAGES = ('site-packages', 'dist-packages')
# A package that requires one of these (not as an extra) was made for runs.
_FOR_RUNS = re.compile(
    r'(quatrain|dm[-_.]sonnet)(?![\w.-])(?!.*\bextra\b)', re.IGNORECASE
)


def origin(path: pathlib.Path) -> str:
  """Returns the origin of a file that is not the user's own.

  A run may only name functions in the user's own files: otherwise a foreign
  config.json could call any installed function, although its hash matches.

  Args:
    path: The absolute path of a file, with links resolved.

  Returns:
    'Quatrain', 'Python', 'an installed package', or '' for the user's own
    files, which include installed packages that require quatrain or dm-sonnet.
  """
  if _is_ours(path):
    return 'Quatrain'
  for folder in path.parents:
    if folder.name in _PACKAGES:
      return '' if _is_for_runs(folder, path) else 'an installed package'
  is_of_python = any(
      folder.startswith('lib') and re.fullmatch(r'python\d[\d.]*t?', name)
      for folder, name in itertools.pairwise(path.parts)
  )
  if is_of_python or any(folder in path.parents for folder in _INSTALLED):
    return 'Python'
  return ''


def _is_for_runs(folder: pathlib.Path, path: pathlib.Path) -> bool:
  """Returns whether a file belongs to a package that was made for runs."""
  file = path.relative_to(folder).as_posix()
  return any(
      any(map(_FOR_RUNS.match, package.requires or ()))
      and file in {each.as_posix() for each in package.files or ()}
      for package in importlib.metadata.distributions(path=[str(folder)])
  )


def differences(before: Code, now: Code) -> dict[str, list[Any]]:
  """Returns the hashes that changed, `[before, now]` by name."""
  return {
      f'code of {name}': [before[name]['sha256'], now[name]['sha256']]
      for name in now
      if name in before and before[name]['sha256'] != now[name]['sha256']
  }


def is_same(part: Any, other: Any, before: Code, now: Code) -> bool:
  """Returns whether two values of a flag name the same part of the same file.

  Args:
    part: The value before, as a JSON value.
    other: The value now, as a JSON value.
    before: The files before.
    now: The files now.
  """
  if isinstance(part, list) and isinstance(other, list):
    return len(part) == len(other) and all(
        is_same(one, two, before, now)
        for one, two in zip(part, other, strict=True)
    )
  if part == other:
    return True
  if not isinstance(part, str) or not isinstance(other, str):
    return False
  (where, _, name), (there, _, same) = (
      part.rpartition(':'),
      other.rpartition(':'),
  )
  return (
      name == same
      and where in before
      and there in now
      and before[where]['sha256'] == now[there]['sha256']
  )


def sources(module: types.ModuleType) -> dict[str, pathlib.Path]:
  """Finds the files of a module and of the modules next to it that it imports.

  Args:
    module: A module.

  Returns:
    Paths by module name, the given module first. Empty for modules of Quatrain
    and modules without a Python file.
  """
  own = file(module)
  if own is None or _is_ours(own):
    return {}
  root, name = dotted(own)
  found: dict[str, pathlib.Path] = {}
  waiting = {name: own}
  while waiting:
    name, path = waiting.popitem()
    found[name] = path
    for each in _imports(name, path):
      beside = _beside(root, each, name)
      if beside is not None and each not in found:
        waiting[each] = beside
  return found


def read_code(values: Any) -> dict[str, dict[str, str]]:
  """Checks and returns the code that config.json recorded.

  Raises:
    ValueError: If it has another form.
  """
  if not isinstance(values, dict) or not all(
      isinstance(file, dict)
      and file.keys() == {'path', 'sha256'}
      and all(isinstance(value, str) for value in file.values())
      for file in values.values()
  ):
    raise ValueError(f'its code is {values!r}')
  return values


def file(module: types.ModuleType) -> pathlib.Path | None:
  """Returns the Python file of a module, or None if it has none."""
  file = getattr(module, '__file__', None)
  path = pathlib.Path(file).resolve() if file else None
  return path if path and path.suffix == '.py' and path.is_file() else None


def dotted(path: pathlib.Path) -> tuple[pathlib.Path, str]:
  """Returns the folder that a file is imported from, and its name there."""
  names = [] if path.name == '__init__.py' else [path.stem]
  folder = path.parent
  while (folder / '__init__.py').is_file():
    names.insert(0, folder.name)
    folder = folder.parent
  return folder, '.'.join(names)


def _beside(
    root: pathlib.Path, name: str, importer: str
) -> pathlib.Path | None:
  """Finds the file of a module below a folder, if it is the user's own."""
  is_other = name.partition('.')[0] != importer.partition('.')[0]
  if root in _INSTALLED and is_other:
    return None
  stem = root.joinpath(*name.split('.'))
  for path in (stem.with_name(f'{stem.name}.py'), stem / '__init__.py'):
    if path.is_file() and not _is_ours(path.resolve()):
      return path.resolve()
  return None


def _is_ours(path: pathlib.Path) -> bool:
  return any(folder in path.parents for folder in _OURS)


def _imports(name: str, path: pathlib.Path) -> Iterator[str]:
  """Yields the names of modules, and of their members, that a file imports."""
  package = name if path.name == '__init__.py' else name.rpartition('.')[0]
  try:
    tree = ast.parse(path.read_bytes())
  except (SyntaxError, ValueError):
    return
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      named = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      base = node.module or ''
      if node.level:
        parents = package.split('.')[: 1 - node.level or None]
        base = '.'.join([*filter(None, parents), *filter(None, [base])])
      named = [base, *(f'{base}.{alias.name}' for alias in node.names)]
      if not base:
        named = [alias.name for alias in node.names]
    else:
      continue
    for each in named:
      parts = each.split('.')
      for size in range(1, len(parts) + 1):  # Importing runs packages as well.
        yield '.'.join(parts[:size])
