"""Lists, verifies and prunes the checkpoints of a run.

  python -m launch.checkpoints list --workdir=RUN
  python -m launch.checkpoints verify --workdir=RUN
  python -m launch.checkpoints prune --workdir=RUN --max_to_keep=1

Each checkpoint is compared with the sizes and hashes in its manifest, or, for
older versions without a manifest, with TensorFlow's checksums. verify exits
with 1 if one is damaged. prune keeps the newest intact ones, and refuses to run
while a process trains in the directory.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

from core import checkpoint_files, checkpoint_manifests

from . import config as config_lib
from . import programs
from . import workdir as workdir_lib

# Whether the program takes arguments besides flags.
POSITIONAL = True

_PLACE = config_lib.define_flags('workdir')
_MAX_TO_KEEP = flags.DEFINE_integer(
    'max_to_keep',
    None,
    'How many of the newest intact checkpoints prune keeps, besides the best. '
    'Default: all.',
    lower_bound=1,
)
_DAMAGED = flags.DEFINE_bool(
    'damaged',
    False,
    'Whether prune removes damaged checkpoints, including those that a start '
    'of the run has set aside.',
)


class Entry(NamedTuple):
  """A checkpoint.

  Attributes:
    path: Its path.
    note: `best` for the checkpoint of the best validation; else empty.
    damage: What is wrong with it, or None if it is intact.
    is_aside: Whether it was set aside because it is damaged.
  """

  path: str
  note: str
  damage: str | None
  is_aside: bool = False

  def row(self) -> list[str]:
    """Returns the cells of its row."""
    stats = []
    for file in checkpoint_files.files(self.path):
      # A process that trains may remove the oldest checkpoint meanwhile.
      with contextlib.suppress(FileNotFoundError):
        stats.append(os.stat(file))
    if self.is_aside:
      state = 'damaged, set aside'
    else:
      state = f'damaged: {self.damage}' if self.damage else 'whole'
    newest = max((each.st_mtime for each in stats), default=0.0)
    when = time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(newest))
    name = os.path.join(self.note, os.path.basename(self.path))
    size = sum(each.st_size for each in stats)
    return [name, when if stats else '', f'{size:,}', state]


def main() -> int:
  """Runs the program; returns its exit code."""
  actions = {'list': _list, 'verify': _verify, 'prune': _prune}
  given = programs.positional()
  if len(given) != 1 or given[0] not in actions:
    raise programs.UserError(
        f'expected one of {", ".join(actions)}, got '
        f'{" ".join(given) or "nothing"}.'
    )
  for flag in ('max_to_keep', 'damaged'):
    if flags.FLAGS[flag].present and given[0] != 'prune':
      raise programs.UserError(f'--{flag} is for prune, not for {given[0]}.')
  place = config_lib.Config.from_flags(*_PLACE)
  directory = workdir_lib.of_run(place.workdir)
  start = directory.read_start()
  if not checkpoint_files.ordered(directory.checkpoints):
    directory.check_progress(start)
  actions[given[0]](directory)
  return 0


def entries(directory: workdir_lib.Workdir) -> list[Entry]:
  """Finds all checkpoints of a run, newest first, and the best one last.

  They include those that were set aside. A process may be writing meanwhile.

  Raises:
    OSError: If a file cannot be read now.
  """
  found = []
  for folder, note in ((directory.checkpoints, ''), (directory.best, 'best')):
    for path in checkpoint_files.ordered(folder):
      damage = _damage(path)
      # A process that trains has removed it meanwhile.
      if damage and path not in checkpoint_files.ordered(folder):
        continue
      found.append(Entry(path, note, damage))
    for path in checkpoint_files.kept_aside(folder):
      found.append(Entry(path, note, 'it was found damaged', is_aside=True))
  return found


def _list(directory: workdir_lib.Workdir) -> None:
  """Prints all checkpoints."""
  _print(entries(directory))


def _print(found: Sequence[Entry]) -> None:
  import tabulate  # From the extra `launch`.

  if not found:
    print('no checkpoint was saved yet')
    return
  print(
      tabulate.tabulate(
          [each.row() for each in found],
          headers=['checkpoint', 'saved', 'bytes', 'state'],
          colalign=('left', 'left', 'right', 'left'),
          disable_numparse=True,
      )
  )


def _verify(directory: workdir_lib.Workdir) -> None:
  """Prints all checkpoints.

  Raises:
    Failure: If one is damaged that was not set aside.
  """
  found = entries(directory)
  _print(found)
  found = [each for each in found if not each.is_aside]
  damaged = [each for each in found if each.damage]
  if damaged:
    names = '; '.join(f'{each.path} ({each.damage})' for each in damaged)
    raise programs.Failure(
        f'{len(damaged)} of {len(found)} checkpoints cannot be read: {names}.'
    )


def _prune(directory: workdir_lib.Workdir) -> None:
  """Removes checkpoints, and prints their names.

  Raises:
    UserError: If no flag says what to remove, or a process trains here.
  """
  if _MAX_TO_KEEP.value is None and not _DAMAGED.value:
    raise programs.UserError(
        'prune: --max_to_keep=N says how many of the newest whole checkpoints '
        'stay, --damaged removes those that are damaged.'
    )
  folders = (directory.checkpoints, directory.best)
  with directory.locked(programs.note):
    for folder in folders:
      checkpoint_files.remove_unfinished(folder)
    found = entries(directory)
    removed = [each for folder in folders for each in _removed(found, folder)]
    size = sum(
        os.path.getsize(file)
        for each in removed
        for file in checkpoint_files.files(each.path)
    )
    for folder in folders:
      gone = [e.path for e in removed if os.path.dirname(e.path) == folder]
      there = checkpoint_files.ordered(folder)
      if stay := [path for path in there if path not in gone]:
        checkpoint_files.keep(folder, stay)
      for path in gone:
        checkpoint_files.remove(path)
  names = ', '.join(os.path.basename(each.path) for each in removed)
  print(f'removed {names or "nothing"}; {size:,} bytes')


def _removed(found: Sequence[Entry], folder: str) -> list[Entry]:
  """Chooses what to remove from a folder."""
  here = [e for e in found if os.path.dirname(e.path) == folder]
  whole = [e for e in here if not e.damage]
  gone = whole[_MAX_TO_KEEP.value or len(whole) :]
  if _DAMAGED.value:
    # Without an intact checkpoint, keep the damaged ones that were not set
    # aside: part of them may still be readable.
    gone += [e for e in here if e.damage and (whole or e.is_aside)]
  return gone


def _damage(path: str) -> str | None:
  """Returns which file of a checkpoint is damaged, and how, or None."""
  damage = checkpoint_manifests.find_damage(path)
  if damage or checkpoint_manifests.has(path):
    return damage
  programs.import_tensorflow()
  from core import checkpoint_contents, checkpoint_errors

  try:
    checkpoint_contents.read(path)
  except checkpoint_errors.DamagedError as error:
    return error.reason
  except checkpoint_errors.CheckpointError as error:
    raise programs.Failure(str(error)) from error
  return None


def program() -> None:
  """Runs the program as a command: it ends the process."""
  programs.run(main, takes_arguments=POSITIONAL)


if __name__ == '__main__':
  program()
