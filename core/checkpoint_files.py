"""The files in a directory of checkpoints: their order, names and list.

A checkpoint consists of `ckpt-STEP.index`, `ckpt-STEP.data-*` and a manifest,
which older versions did not write. The index is written last: files without an
index are left over from a process that was killed while saving.

TensorFlow's list of checkpoints, the file `checkpoint`, is kept for its own
tools and for the order of saves. If it is lost or damaged, checkpoints are
ordered by step. A checkpoint that it lists but that has no index is damaged.

While a checkpoint is being saved again, the old one is linked to
`replaced-ckpt-STEP` until the new one is complete.
"""

from __future__ import annotations

import glob
import itertools
import os
import pathlib
import re
import shutil
from collections.abc import Sequence

from . import checkpoint_manifests

_FILE = re.compile(
    r'^(replaced-)?ckpt-(\d+)\.(index|data-\d+-of-\d+|manifest\.json)$'
)
# The name of a damaged checkpoint that was set aside.
_ASIDE = re.compile(r'^damaged-((?:replaced-)?ckpt-\d+)(-\d+)?')
_TEMPORARY = re.compile(r'^(checkpoint|(replaced-)?ckpt-\d+)\.tmp$')
_INDEX = '.index'
_REPLACED = 'replaced-'
_KEY = re.compile(r'^variables/(.*)/\.ATTRIBUTES/VARIABLE_VALUE$')
_LIST = 'checkpoint'
_LISTED = re.compile(
    r'^all_model_checkpoint_paths: ".*\bckpt-(\d+)"$', re.MULTILINE
)


def key_of(name: str) -> str:
  """Returns TensorFlow's key for a variable, in which `/` and `.` are escaped.

  Args:
    name: The name of the variable.

  Returns:
    Its key in the files of a checkpoint.
  """
  escaped = name.replace('.', '..').replace('/', '.S')
  return f'variables/{escaped}/.ATTRIBUTES/VARIABLE_VALUE'


def name_of(key: str) -> str | None:
  """Inverts `key_of`.

  Args:
    key: A key in the files of a checkpoint.

  Returns:
    The name, or None if the key does not belong to a variable.
  """
  match = _KEY.match(key)
  if match is None:
    return None
  return re.sub(r'\.([S.])', lambda m: '/' if m[1] == 'S' else '.', match[1])


def ordered(directory: str) -> list[str]:
  """Lists the checkpoints in a directory, newest first.

  Args:
    directory: The directory, which need not exist.

  Returns:
    The paths of all checkpoints that have an index or are in the list.
  """
  listed = _listed(directory)
  found: set[int] = set()
  replaced: set[int] = set()
  for name in _names(directory):
    if (match := _FILE.match(name)) and match[3] == 'index':
      (replaced if match[1] else found).add(int(match[2]))
  # A process may be killed between its last checkpoint and the list of it.
  last = listed[-1] if listed else -1
  after = {step for step in found - {*listed} if step > last}
  before = (found | replaced) - {*listed} - after
  steps = [
      *sorted(after, reverse=True),
      *reversed(listed),
      *sorted(before, reverse=True),
  ]
  paths = []
  for step in steps:
    path = os.path.join(directory, f'ckpt-{step}')
    if step in found or step not in replaced:
      paths.append(path)
    if step in replaced:
      paths.append(_replaced(path))
  return paths


def publish(written: str, path: str, max_to_keep: int) -> None:
  """Moves a complete checkpoint to its final name and removes the oldest ones.

  Args:
    written: The path at which it was written, on the same file system.
    path: The final path.
    max_to_keep: The number of checkpoints to keep, including this one.
  """
  directory = os.path.dirname(path)
  checkpoint_manifests.write(written, files(written))
  others = [e for e in ordered(directory) if e != path and files(e)]
  if os.path.exists(path + _INDEX):
    _copy(path, _replaced(path))
    os.remove(path + _INDEX)
  # The index goes last, since it marks the checkpoint as complete.
  for file in sorted(files(written), key=_is_index):
    os.replace(file, path + file.removeprefix(written))
  checkpoint_manifests.flush(directory)
  keep(directory, [path, *others[: max_to_keep - 1]])


def keep(directory: str, paths: Sequence[str]) -> None:
  """Removes all checkpoints except the given ones.

  Args:
    directory: The directory of checkpoints.
    paths: The checkpoints to keep, newest first; at least one.
  """
  others = [each for each in ordered(directory) if each not in paths]
  _write_list(directory, paths[::-1])
  for each in others:
    remove(each)


def remove(path: str) -> None:
  """Removes the files of a checkpoint, its index first.

  Args:
    path: The path of the checkpoint.
  """
  for file in sorted(files(path), key=_is_index, reverse=True):
    os.remove(file)


def set_aside(path: str) -> None:
  """Renames a damaged checkpoint to `damaged-ckpt-STEP`, or `...-2` and so on.

  Args:
    path: The path of the checkpoint, whose files may be missing.
  """
  directory, name = os.path.split(path)
  here = sorted(files(path), key=_is_index)
  for number in itertools.count(1):
    suffix = f'-{number}' if number > 1 else ''
    target = os.path.join(directory, f'damaged-{name}{suffix}')
    names = [target + file.removeprefix(path) for file in here]
    # Some may already exist if a process was killed here.
    if not any(map(os.path.lexists, names)):
      break
  for file, moved in zip(here, names, strict=True):
    os.replace(file, moved)
  if left := [each for each in ordered(directory) if each != path]:
    _write_list(directory, left[::-1])


def kept_aside(directory: str) -> list[str]:
  """Lists the damaged checkpoints in a directory that were set aside.

  Args:
    directory: The directory of checkpoints.

  Returns:
    Their paths.
  """
  stems = {
      name.partition('.')[0] for name in _names(directory) if _ASIDE.match(name)
  }
  return [os.path.join(directory, stem) for stem in sorted(stems)]


def remove_unfinished(directory: str) -> None:
  """Removes the leftovers of processes that were killed while saving.

  Args:
    directory: The directory of checkpoints. No other process may write to it.
  """
  for folder in glob.glob(os.path.join(glob.escape(directory), 'ckpt-*_temp')):
    shutil.rmtree(folder, ignore_errors=True)
  there = ordered(directory)
  for path in there:
    name = os.path.basename(path)
    if name.startswith(_REPLACED):
      own = os.path.join(directory, name.removeprefix(_REPLACED))
      if own not in there:  # The new one is incomplete.
        _copy(path, own)
      remove(path)
  there = ordered(directory)
  for name in _names(directory):
    path = os.path.join(directory, name.partition('.')[0])
    if _TEMPORARY.match(name) or (_FILE.match(name) and path not in there):
      os.remove(os.path.join(directory, name))


def _listed(directory: str) -> list[int]:
  """Returns the steps in the list of checkpoints, or [] if it is damaged."""
  path = pathlib.Path(directory, _LIST)
  try:
    steps = _LISTED.findall(path.read_text(errors='replace'))
  except OSError:
    steps = []
  return list(dict.fromkeys(map(int, steps)))


def _write_list(directory: str, paths: Sequence[str]) -> None:
  """Writes the list of checkpoints, ordered from oldest to newest."""
  names = [os.path.basename(path) for path in paths]
  lines = [f'model_checkpoint_path: "{names[-1]}"']
  lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
  temporary = os.path.join(directory, f'{_LIST}.tmp')
  with open(temporary, 'w') as file:
    file.write('\n'.join(lines) + '\n')
  os.replace(temporary, os.path.join(directory, _LIST))


def files(path: str) -> list[str]:
  """Lists the files of a checkpoint.

  Args:
    path: The path of a checkpoint, which may have been set aside.

  Returns:
    Their paths.
  """
  return [
      name
      for name in glob.glob(f'{glob.escape(path)}.*')
      if _FILE.match(_ASIDE.sub(r'\1', os.path.basename(name)))
  ]


def _names(directory: str) -> list[str]:
  try:
    return os.listdir(directory)
  except (FileNotFoundError, NotADirectoryError):
    return []


def _copy(path: str, target: str) -> None:
  """Copies a checkpoint within a directory, its index last."""
  for file in sorted(files(path), key=_is_index):
    temporary = f'{target}.tmp'
    if os.path.lexists(temporary):
      os.remove(temporary)
    try:
      os.link(file, temporary)
    except OSError:  # Some file systems do not support links.
      shutil.copy2(file, temporary)
    os.replace(temporary, target + file.removeprefix(path))


def _replaced(path: str) -> str:
  directory, name = os.path.split(path)
  return os.path.join(directory, _REPLACED + name)


def _is_index(name: str) -> bool:
  return name.endswith(_INDEX)
