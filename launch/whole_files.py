"""Files that are there as a whole, or as they were before."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Puts what a block writes in the place of a file, at the block's end.

  Args:
    path: The path of the file.

  Yields:
    The path to write to. If the block raises, what was there before stays.
  """
  temporary = path.with_name(f'{path.name}.tmp')
  try:
    yield temporary
    os.replace(temporary, path)
  except BaseException:
    with contextlib.suppress(OSError):
      temporary.unlink()
    raise
