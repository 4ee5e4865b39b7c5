"""metrics.jsonl: one row per line, as a JSON object.

A run that resumes from a checkpoint repeats the steps after it. Their old rows
are void, and are removed with the next checkpoint. If the process is killed
before that, the rows that were written last count.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from . import json_files


class MetricsFile:
  """Reads and appends rows."""

  def __init__(self, path: pathlib.Path):
    """Sets the path of the file, without reading or writing it."""
    self._path = path
    # Among the first `_num_old` rows, those after `_step` are void.
    self._num_old = 0
    self._step = 0
    self._is_validated = True

  def read(self) -> list[dict[str, Any]]:
    """Reads the rows, without void rows and an incomplete last row.

    Raises:
      UserError: If the file is damaged.
    """
    return _last_written([
        row
        for index, row in enumerate(self._all())
        if index >= self._num_old or not self._is_void(row)
    ])

  def last_step(self) -> int | None:
    """Returns the step of the last row, even if it is void, or None."""
    rows = self._all()
    return rows[-1]['step'] if rows else None

  def append(self, row: Mapping[str, Any]) -> None:
    """Appends a row.

    Raises:
      OSError: If it cannot be written.
    """
    with open(self._path, 'ab+') as file:
      size = file.seek(0, os.SEEK_END)
      file.seek(max(0, size - 1))
      if size and file.read() != b'\n':
        # The last row is incomplete: the process was killed or the disk full.
        file.seek(0)
        file.truncate(file.read().rfind(b'\n') + 1)
      file.write(json.dumps(row).encode() + b'\n')

  def go_on_from(self, step: int, *, is_validated: bool = True) -> None:
    """Marks the rows of later steps as void.

    Args:
      step: The step of the restored checkpoint, or 0 without one.
      is_validated: Whether the validation row of this step remains valid.

    Raises:
      UserError: If the file is damaged.
    """
    rows = self._all()
    self._step, self._is_validated = step, is_validated
    is_void = any(map(self._is_void, rows))
    is_void |= len(_last_written(rows)) < len(rows)
    self._num_old = len(rows) if is_void else 0

  def _is_void(self, row: Mapping[str, Any]) -> bool:
    if row['step'] == self._step and row['split'] == 'validation':
      return not self._is_validated
    return row['step'] > self._step

  def drop_void(self) -> None:
    """Removes the void rows from the file.

    Raises:
      OSError: If it cannot be written.
    """
    if self._num_old:
      text = ''.join(json.dumps(row) + '\n' for row in self.read())
      json_files.replace(self._path, text)
      self._num_old = 0

  def _all(self) -> list[dict[str, Any]]:
    text = json_files.read(self._path) or ''
    return [
        json_files.decode(self._path, line, step=int, split=str)
        for line in text.splitlines(True)
        if line.endswith('\n')
    ]


def _last_written(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
  """Leaves out rows that were written again, where steps decrease."""
  kept: list[dict[str, Any]] = []
  for row in rows:
    step = row['step']
    while kept and kept[-1]['step'] > step:
      kept.pop()
    first = len(kept)
    while first and kept[first - 1]['step'] == step:
      first -= 1
    splits = [each['split'] for each in kept[first:]]
    if row['split'] in splits:
      del kept[first + splits.index(row['split']) :]
    kept.append(row)
  return kept
