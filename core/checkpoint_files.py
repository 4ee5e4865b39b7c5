"""The files of a directory of checkpoints: their order, their names, the list.

A checkpoint is `ckpt-STEP.index` and `ckpt-STEP.data-*`. TensorFlow's list of
checkpoints, the file `checkpoint`, is written for its own tools and for the
order of saves; where it is lost or damaged, the steps decide.
"""

from __future__ import annotations

import glob
import itertools
import os
import pathlib
import re
import shutil
from collections.abc import Sequence

_FILE = re.compile(r'^ckpt-(\d+)\.(index|data-\d+-of-\d+)$')
_KEY = re.compile(r'^variables/(.*)/\.ATTRIBUTES/VARIABLE_VALUE$')
_LIST = 'checkpoint'
_LISTED = re.compile(
    r'^all_model_checkpoint_paths: ".*\bckpt-(\d+)"$', re.MULTILINE
)


def key_of(name: str) -> str:
  """Returns TensorFlow's key of a variable: `/` and `.` are escaped.

  Args:
    name: The name of the variable.

  Returns:
    Its key in the files of a checkpoint.
  """
  escaped = name.replace('.', '..').replace('/', '.S')
  return f'variables/{escaped}/.ATTRIBUTES/VARIABLE_VALUE'


def name_of(key: str) -> str | None:
  """Undoes `key_of`.

  Args:
    key: A key in the files of a checkpoint.

  Returns:
    The name; None if the key is not that of a variable.
  """
  match = _KEY.match(key)
  if match is None:
    return None
  return re.sub(r'\.([S.])', lambda m: '/' if m[1] == 'S' else '.', match[1])


def ordered(directory: str) -> list[str]:
  """Lists the checkpoints of a directory from the newest on.

  Args:
    directory: The directory, which need not exist.

  Returns:
    The paths of all checkpoints that have a file or are in the list.
  """
  listed = _listed(directory)
  try:
    names = os.listdir(directory)
  except (FileNotFoundError, NotADirectoryError):
    names = []
  found = {int(match[1]) for name in names if (match := _FILE.match(name))}
  # A process may be killed between its last checkpoint and the list of it.
  last = listed[-1] if listed else -1
  after = {step for step in found - {*listed} if step > last}
  before = found - {*listed} - after
  steps = [
      *sorted(after, reverse=True),
      *reversed(listed),
      *sorted(before, reverse=True),
  ]
  return [os.path.join(directory, f'ckpt-{step}') for step in steps]


def publish(written: str, path: str, max_to_keep: int) -> None:
  """Moves a whole checkpoint to its name and removes the oldest ones.

  Args:
    written: Where it was written, on the same file system.
    path: The path that it gets.
    max_to_keep: How many checkpoints stay, this one included.
  """
  directory = os.path.dirname(path)
  others = [each for each in ordered(directory) if each != path]
  others = [each for each in others if _files(each)]
  # The index goes last: without it there is no checkpoint.
  for file in sorted(_files(written), key=_is_index):
    os.replace(file, path + file.removeprefix(written))
  kept = others[: max_to_keep - 1]
  _write_list(directory, [*reversed(kept), path])
  for each in others[len(kept) :]:
    for file in sorted(_files(each), key=_is_index, reverse=True):
      os.remove(file)


def set_aside(path: str) -> None:
  """Renames a damaged checkpoint to `damaged-ckpt-STEP`, or one that is free.

  Args:
    path: The path of the checkpoint, whose files may be gone.
  """
  directory, name = os.path.split(path)
  for number in itertools.count(1):
    suffix = f'-{number}' if number > 1 else ''
    target = os.path.join(directory, f'damaged-{name}{suffix}')
    if not glob.glob(f'{glob.escape(target)}.*'):
      break
  for file in _files(path):
    os.replace(file, target + file.removeprefix(path))


def remove_temporary(directory: str) -> None:
  """Removes the folders that TensorFlow leaves if it is killed while it saves.

  Args:
    directory: The directory of checkpoints, into which nobody else writes.
  """
  for folder in glob.glob(os.path.join(glob.escape(directory), 'ckpt-*_temp')):
    shutil.rmtree(folder, ignore_errors=True)


def _listed(directory: str) -> list[int]:
  """Returns the steps in the list of checkpoints; none if it is damaged."""
  path = pathlib.Path(directory, _LIST)
  try:
    steps = _LISTED.findall(path.read_text(errors='replace'))
  except OSError:
    steps = []
  return list(dict.fromkeys(map(int, steps)))


def _write_list(directory: str, paths: Sequence[str]) -> None:
  """Writes the list of checkpoints, the newest of which is the last."""
  names = [os.path.basename(path) for path in paths]
  lines = [f'model_checkpoint_path: "{names[-1]}"']
  lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
  temporary = os.path.join(directory, f'{_LIST}.tmp')
  with open(temporary, 'w') as file:
    file.write('\n'.join(lines) + '\n')
  os.replace(temporary, os.path.join(directory, _LIST))


def _files(path: str) -> list[str]:
  return [
      name
      for name in glob.glob(f'{glob.escape(path)}.*')
      if _FILE.match(os.path.basename(name))
  ]


def _is_index(name: str) -> bool:
  return name.endswith('.index')
