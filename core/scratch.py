"""Scratch folders that go with their process, however that ends.

A folder is removed when it is no longer needed. Making the next one in the same
place also removes those of processes that were killed: each process holds a
lock on a file in its folder, which the kernel releases when the process ends.
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
  """Makes a folder for a block, and removes those of dead processes.

  Args:
    prefix: What its name begins with.
    parent: Where it is made. Default: where temporary files are.

  Yields:
    The folder.
  """
  parent = pathlib.Path(parent or tempfile.gettempdir())
  _remove_dead(parent, prefix)
  made = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
  # Named once it is locked, so that nobody takes this process for dead.
  unnamed = made / f'{_OWNER}.new'
  file = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)
  try:
    with contextlib.suppress(OSError):  # A file system without locks.
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
