"""Scratch folders that are removed even if their process is killed.

A folder is removed when it is no longer needed. Creating another one in the
same place also removes those of killed processes: each process holds a lock on
a file in its folder, which the kernel releases when the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

_OWNER = '.owner'


@contextlib.contextmanager
def folder(
    prefix: str, parent: str | os.PathLike[str] | None = None
) -> Iterator[pathlib.Path]:
  """Creates a folder for a block, and removes those of dead processes.

  Args:
    prefix: The prefix of its name.
    parent: The folder in which to create it. Default: that of temporary files.

  Yields:
    The folder.
  """
  parent = pathlib.Path(parent or tempfile.gettempdir())
  _remove_dead(parent, prefix)
  made = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
  # Renamed only when locked, so that no process takes this one for dead.
  unnamed = made / f'{_OWNER}.new'
  file = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)
  try:
    with contextlib.suppress(OSError):  # The file system may lack locks.
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      unnamed.rename(made / _OWNER)
    yield made
  finally:
    shutil.rmtree(made, ignore_errors=True)
    os.close(file)


def _remove_dead(parent: pathlib.Path, prefix: str) -> None:
  for found in parent.glob(f'{prefix}*'):
    with contextlib.suppress(OSError):
      if found.is_symlink() or found.stat().st_uid != os.geteuid():
        continue
      with open(found / _OWNER) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(found, ignore_errors=True)
