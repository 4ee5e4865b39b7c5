"""Atomic writing: a reader never sees half of an export."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from .. import scratch


@contextlib.contextmanager
def replaced(path: str) -> Iterator[str]:
  """Yields a scratch path on the same disk, which becomes `path` on success.

  Parents are created too. An old file is replaced in one step. An old directory
  is moved away first: for a moment there is none, but never half of one. If the
  block fails, the old one stays. The next export removes the scratch files of a
  killed process.
  """
  path = os.path.abspath(path)
  parent = os.path.dirname(path)
  os.makedirs(parent, exist_ok=True)
  with scratch.folder('.export_', parent) as folder:
    new = os.path.join(folder, 'new')
    yield new
    if os.path.isdir(new) and os.path.isdir(path):
      os.rename(path, os.path.join(folder, 'old'))
    os.replace(new, path)
