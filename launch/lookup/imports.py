"""Imports the user's own Python files, and records their hashes.

A file is imported under the name by which Python would import it from its
folder, or under a unique name if another module has that name. Its folder is
appended to `sys.path` meanwhile, and stays there if the file imports others
next to it, since it may do so later. Edited files are executed again, so that
the recorded hash is that of the running code.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import importlib.util
import os
import pathlib
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Iterator

from . import code_files

# Hashes of files when they were read, and the modules that were imported here.
_hashes: dict[pathlib.Path, str] = {}
_read: set[str] = set()


class Mistake(ValueError):
  """Code that cannot be imported, described in one line."""


def module_of(where: str) -> types.ModuleType:
  """Imports a module.

  Args:
    where: `package.module`, or `path/file.py`, relative to the current folder.

  Returns:
    The module, which is the same for each call.

  Raises:
    Mistake: If it does not exist or cannot be imported.
  """
  if where.partition('.')[0] in sys.stdlib_module_names:
    raise Mistake(f'{where} is a module of Python itself')
  if where.endswith('.py'):
    path = pathlib.Path(where).expanduser().resolve()
    if not path.is_file():
      raise Mistake(f'there is no file {where}{_near_file(path)}')
    module = _loaded(path) or _imported(*code_files.dotted(path), path)
  else:
    module = sys.modules.get(where) or _imported(pathlib.Path.cwd(), where)
  _read_again_if_edited(module)
  return module


def digest(path: pathlib.Path) -> str:
  """Returns the SHA-256 of a file as it was when it was read."""
  if path not in _hashes:
    _hashes[path] = digest_now(path)
  return _hashes[path]


def digest_now(path: pathlib.Path) -> str:
  """Returns the SHA-256 of the current contents of a file."""
  return hashlib.sha256(path.read_bytes()).hexdigest()


def near(name: str, known: Iterable[str]) -> str:
  """Returns `; did you mean ...?` with similar names, or an empty string."""
  alike = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
  return f'; did you mean {" or ".join(alike)}?' if alike else ''


def place(error: BaseException, file: str = '', skip: int = 0) -> str:
  """Returns the innermost line of the user's own code in an error.

  Args:
    error: The error.
    file: A file that is the user's wherever it is.
    skip: The number of outermost calls that are not the user's.

  Returns:
    `FILE, line NUMBER`, or nothing if only code of packages was running.
  """
  if isinstance(error, SyntaxError) and is_users(error.filename or '<'):
    return f'{error.filename}, line {error.lineno}'
  frames = [
      (frame.filename, frame.lineno)
      for frame in traceback.extract_tb(error.__traceback__)[skip:]
  ]
  # Errors of graphs name the lines that made the operation.
  frames += re.findall(r'^ *File "(.+)", line (\d+), in ', str(error), re.M)
  for filename, line in reversed(frames):
    if filename == file or is_users(filename):
      return f'{filename}, line {line}'
  return ''


def is_users(filename: str) -> bool:
  """Returns whether code is the user's, not of Quatrain or another package."""
  if os.path.basename(filename).startswith(('<', '__autograph_generated')):
    return False
  return not code_files.origin(pathlib.Path(filename).resolve())


def _imported(
    root: pathlib.Path, name: str, path: pathlib.Path | None = None
) -> types.ModuleType:
  """Imports a module by name, from a folder."""
  importlib.invalidate_caches()
  with _explained(root, name), _on_path(root) as keep:
    spec = importlib.util.find_spec(name)
    origin = None
    if spec is not None and spec.origin:
      origin = pathlib.Path(spec.origin).resolve()
    if path is not None and origin != path:  # Another module has the name.
      module = _own_name(path)
    elif spec is None:
      raise ModuleNotFoundError(f'No module named {name!r}', name=name)
    else:
      # It may be the running program, whose name is __main__.
      module = (origin and _loaded(origin)) or importlib.import_module(name)
    files = code_files.sources(module)
    keep(len(files) > 1)
  _read.update([module.__name__, *files])
  for file in files.values():
    digest(file)
  return module


def _own_name(path: pathlib.Path) -> types.ModuleType:
  """Imports a file under a name that no other module has."""
  mark = hashlib.sha256(str(path).encode()).hexdigest()[:8]
  name = f'{path.stem}_{mark}'
  spec = importlib.util.spec_from_file_location(name, path)
  assert spec is not None and spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  try:
    spec.loader.exec_module(module)
  except BaseException:
    del sys.modules[name]
    raise
  return module


@contextlib.contextmanager
def _on_path(root: pathlib.Path) -> Iterator[Callable[[bool], None]]:
  """Appends a folder to `sys.path`, for a block or permanently."""
  entry = str(root)
  is_there = any(pathlib.Path(each).resolve() == root for each in sys.path)
  kept = is_there
  writes = sys.dont_write_bytecode

  def keep(whether: bool) -> None:
    nonlocal kept
    kept = kept or whether

  if not is_there:
    sys.path.append(entry)
  sys.dont_write_bytecode = True  # Bytecode could hide a quick edit.
  try:
    yield keep
  finally:
    sys.dont_write_bytecode = writes
    if not kept:
      sys.path.remove(entry)


@contextlib.contextmanager
def _explained(root: pathlib.Path, name: str) -> Iterator[None]:
  """Turns errors of an import into a Mistake, which names the place."""
  try:
    yield
  except (Exception, SystemExit) as error:
    missing = isinstance(error, ModuleNotFoundError) and (
        f'{name}.'.startswith(f'{error.name}.')
    )
    if missing:
      known = [path.stem for path in root.glob('*.py')]
      raise Mistake(f'there is no module {name}{near(name, known)}') from None
    what = str(error).partition(' (')[0].partition('\n')[0]
    raise Mistake(
        f'{place(error) or name}: {type(error).__name__}: {what}'
    ) from error


def _read_again_if_edited(module: types.ModuleType) -> None:
  """Executes the files of a module again that were edited since."""
  files = code_files.sources(module)
  edited = [
      name
      for name, path in files.items()
      if path in _hashes and digest_now(path) != _hashes[path]
  ]
  if not edited or module.__name__ not in _read:
    return
  root = code_files.dotted(next(iter(files.values())))[0]
  known = [(sys.modules[n], files[n]) for n in edited if n in sys.modules]
  others = [each for each, path in known if code_files.file(each) == path]
  with _explained(root, module.__name__), _on_path(root):
    for each in [m for m in others if m is not module] + [module]:
      file = code_files.file(each)
      assert file is not None
      exec(compile(file.read_bytes(), str(file), 'exec'), vars(each))
  for path in files.values():
    _hashes[path] = digest_now(path)


def _loaded(path: pathlib.Path) -> types.ModuleType | None:
  """Finds the module that was imported from a file, or returns None."""
  for module in list(sys.modules.values()):
    name = os.path.basename(getattr(module, '__file__', None) or '')
    if name == path.name and code_files.file(module) == path:
      return module
  return None


def _near_file(path: pathlib.Path) -> str:
  folder = path.parent
  if not folder.is_dir():
    return ''
  return near(path.name, [each.name for each in folder.glob('*.py')])
