"""Checks of paths given by users, before anything is written."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import tempfile

from .. import programs
from ..settings import flag_types


def local(flag: str, value: str) -> pathlib.Path:
  """Reads the path of a flag for a directory that a program writes.

  Args:
    flag: The name of the flag.
    value: Its value.

  Returns:
    The path, with `~` expanded.

  Raises:
    UserError: If it is not a path on a local file system, or one from which
      TensorFlow cannot read checkpoints.
  """
  try:
    path = pathlib.Path(flag_types.check_path(value))
    # `check_writable` reports these.
    with contextlib.suppress(
        FileNotFoundError, NotADirectoryError, PermissionError
    ):
      os.stat(path)
  except (OSError, ValueError) as error:
    reason = getattr(error, 'strerror', None) or str(error).rstrip('.')
    raise programs.UserError(
        f'--{flag}={value}: {reason}; choose another directory.'
    ) from None
  if set('[\\') & set(str(path.absolute())):
    raise programs.UserError(
        f'--{flag}={value}: TensorFlow cannot read files below a name with '
        '[ or \\ in it; choose another directory.'
    )
  return path


def check_writable(flag: str, path: pathlib.Path) -> None:
  """Checks that a directory is writable, and leaves nothing there.

  Args:
    flag: The name of its flag.
    path: The directory, which need not exist.

  Raises:
    UserError: If it is not writable.
  """
  nearest = path.absolute()
  while not os.path.lexists(nearest) and nearest != nearest.parent:
    nearest = nearest.parent
  if not nearest.is_dir():
    raise programs.UserError(f'--{flag}={path}: {nearest} is not a directory.')
  if not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
    raise programs.UserError(
        f'--{flag}={path}: {nearest} is not writable; choose another '
        'directory or change its permissions.'
    )
  try:  # Even where it may write, root cannot create files in /proc.
    tempfile.TemporaryFile(dir=nearest).close()
  except OSError as error:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
      raise programs.UserError(
          f'--{flag}={path}: no file can be created in {nearest} '
          f'({error.strerror}); choose another directory.'
      ) from None


def output(value: str, *suffixes: str) -> pathlib.Path:
  """Reads `--output`, the path of a file that a program writes.

  Args:
    value: Its value.
    *suffixes: The allowed suffixes, such as `.png`.

  Returns:
    The path, with `~` expanded.

  Raises:
    UserError: If it has another suffix, or is not writable.
  """
  path = local('output', value)
  if path.suffix not in suffixes:
    raise programs.UserError(
        f'--output={path}: expected a file that ends in '
        f'{" or ".join(suffixes)}.'
    )
  if path.is_dir():
    raise programs.UserError(f'--output={path}: it is a directory.')
  check_writable('output', path.parent)
  return path


def check_folder(flag: str, path: pathlib.Path, remedy: str) -> None:
  """Checks that a folder in a directory is writable, if it exists.

  Args:
    flag: The flag of the directory.
    path: The folder in it.
    remedy: The advice if it is not a folder.

  Raises:
    UserError: If it is not writable.
  """
  # Also true for a link to a folder that is not mounted.
  if os.path.lexists(path):
    if not path.is_dir():
      raise programs.UserError(f'{path} is not a directory; {remedy}.')
    check_writable(flag, path)
