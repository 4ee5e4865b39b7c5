"""A hook that writes down what its process holds, for leaks_test.

It is given by its file, as a user's own: it imports nothing of the tree.
"""

from __future__ import annotations

import gc
import json
import os
import pathlib
import tempfile


class Watch:
  """Appends a line to a file after each validation."""

  def __init__(self, path: str):
    """Names the file."""
    self._path = path

  def __call__(self, step: int, values: dict[str, float]) -> None:
    """Writes what this process holds."""
    gc.collect()
    status = pathlib.Path('/proc/self/status').read_text()
    [resident] = [
        int(line.split()[1])
        for line in status.splitlines()
        if line.startswith('VmRSS:')
    ]
    row = {
        'step': step,
        'resident_kb': resident,
        'files': sorted(_target(name) for name in os.listdir('/proc/self/fd')),
        'num_threads': len(os.listdir('/proc/self/task')),
        'temporary': sorted(
            str(path) for path in pathlib.Path(tempfile.gettempdir()).rglob('*')
        ),
    }
    with open(self._path, 'a') as file:
      file.write(json.dumps(row) + '\n')


def _target(name: str) -> str:
  try:
    return os.readlink(f'/proc/self/fd/{name}')
  except FileNotFoundError:  # That of the listing itself.
    return ''
