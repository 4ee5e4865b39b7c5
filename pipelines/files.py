"""Work on files that several processes may do at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
from collections.abc import Iterator


def is_local(path: str | os.PathLike[str]) -> bool:
  """Returns whether a path lies on a mounted file system (not `gs://...`).

  Args:
    path: A path or an address.

  Returns:
    Whether it is a path.

  Example:
    >>> from pipelines import files
    >>> files.is_local('/data'), files.is_local('gs://bucket/data')
    (True, False)
  """
  return '://' not in os.fspath(path)


def sha256(path: str | os.PathLike[str]) -> str:
  """Returns the SHA-256 of a file, in hexadecimal digits.

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
  """Holds an exclusive lock; the kernel frees it when the process dies.

  Args:
    path: The lock's file. Its folders are made; the file stays, since
      removing it would let a waiting process and a new one both go on.

  Yields:
    Nothing, once the lock is held.

  Raises:
    OSError: If the file can not be written or the file system has no locks.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'a') as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    yield
