"""Atomic replacement of files."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Replaces a file by what a block writes, at the end of the block.

  Args:
    path: The path of the file.

  Yields:
    The path to write to. If the block raises, the old file is unchanged.
  """
  temporary = path.with_name(f'{path.name}.tmp')
  try:
    yield temporary
    os.replace(temporary, path)
  except BaseException as error:
    with contextlib.suppress(OSError):
      temporary.unlink()
    if isinstance(error, OSError) and error.filename == str(temporary):
      error.filename = str(path)
    raise
