"""Paths that a user names: what they may be, before anything is written."""

from __future__ import annotations

import os
import pathlib

from . import flag_types, programs


def local(flag: str, value: str) -> pathlib.Path:
  """Reads the path of a flag whose directory a program writes.

  Args:
    flag: The name of the flag.
    value: Its value.

  Returns:
    The path, with `~` replaced.

  Raises:
    UserError: If that is no place on a file system of this machine, or not one
      that TensorFlow reads checkpoints from.
  """
  try:
    path = pathlib.Path(flag_types.check_path(value))
    os.stat(path)
  except (FileNotFoundError, NotADirectoryError, PermissionError):
    pass  # That is for `check_writable` to say.
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
  """Checks that files can be made in a directory, without making any.

  Args:
    flag: The name of the flag that names it.
    path: The directory, which need not exist.

  Raises:
    UserError: If they cannot.
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


def output(value: str, *suffixes: str) -> pathlib.Path:
  """Reads `--output`, the path of a file that a program writes.

  Args:
    value: Its value.
    *suffixes: The suffixes that it may have, such as `.png`.

  Returns:
    The path, with `~` replaced.

  Raises:
    UserError: If it ends in something else, or no file can be made there.
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
  """Checks that a folder of a directory can be written to, if it is there.

  Args:
    flag: The flag that names the directory.
    path: The folder in it.
    remedy: What to do if it is something else.

  Raises:
    UserError: If it cannot.
  """
  # A link to what is not mounted is there, and does not exist.
  if os.path.lexists(path):
    if not path.is_dir():
      raise programs.UserError(f'{path} is not a directory; {remedy}.')
    check_writable(flag, path)
