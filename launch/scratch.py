"""Temporary folders that go with their process, however that ends.

A process removes its folder when it ends, and the next start removes those of
processes that were killed: each holds a lock on a file in its folder, which the
kernel gives up when the process is gone.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile

_OWNER = '.owner'


def make(prefix: str) -> pathlib.Path:
  """Makes a folder for this process, and removes those of dead ones.

  Args:
    prefix: What its name begins with.

  Returns:
    The folder.
  """
  _remove_dead(prefix)
  folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
  atexit.register(shutil.rmtree, folder, ignore_errors=True)
  # Named once it is locked: nobody takes this process for a dead one.
  unnamed = folder / f'{_OWNER}.new'
  file = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)  # Open to the end.
  with contextlib.suppress(OSError):  # A file system without locks.
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    unnamed.rename(folder / _OWNER)
  return folder


def _remove_dead(prefix: str) -> None:
  for folder in pathlib.Path(tempfile.gettempdir()).glob(f'{prefix}*'):
    with contextlib.suppress(OSError):
      if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        continue
      with open(folder / _OWNER) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
