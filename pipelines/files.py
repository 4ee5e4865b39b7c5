"""File operations that are safe in several processes at a time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
from collections.abc import Iterator


def is_local(path: str | os.PathLike[str]) -> bool:
  """Returns whether a path is on a mounted file system (not `gs://...`).

  Args:
    path: A path or a URL.

  Returns:
    Whether it is a path.

  Example:
    >>> from pipelines import files
    >>> files.is_local('/data'), files.is_local('gs://bucket/data')
    (True, False)
  """
  return '://' not in os.fspath(path)


def sha256(path: str | os.PathLike[str]) -> str:
  """Returns the SHA-256 of a file in hexadecimal digits.

  Args:
    path: The path.

  Returns:
    64 digits.
  """
  digest = hashlib.sha256()
  with open(path, 'rb') as file:
    while block := file.read(1 << 20):
      digest.update(block)
  return digest.hexdigest()


@contextlib.contextmanager
def lock(path: pathlib.Path) -> Iterator[None]:
  """Holds an exclusive lock, which the kernel releases if the process dies.

  Args:
    path: The lock file. Its folders are created. The file is not removed,
      because then a waiting process and a new one could both hold the lock.

  Yields:
    Nothing, once the lock is held.

  Raises:
    OSError: If the file cannot be written or the file system has no locks.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'a') as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    yield
