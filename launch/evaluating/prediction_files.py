"""Writes predictions as records, tables, arrays, or a folder of masks."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

import numpy as np
import tabulate

from core import scratch

from .. import programs
from ..files import array_files, whole_files

_MAX_CELLS = 1_000  # Maximum columns of a CSV file per value.
_MAX_SHOWN = 20
Columns = dict[str, np.ndarray]
Parts = Iterable[tuple[Columns, Columns]]
"""Known columns and predicted columns, for some examples at a time."""


def check(path: pathlib.Path) -> None:
  """Checks that predictions can be written to a path.

  Args:
    path: A file, whose suffix selects the format, or a folder.

  Raises:
    UserError: If the suffix is not one of `FORMS`, or the folder exists.
  """
  if path.suffix not in FORMS:
    raise programs.UserError(
        f'--output={path}: expected a file that ends in '
        f'{", ".join(filter(None, FORMS))}, or a folder, for masks.'
    )
  if not path.suffix and os.path.lexists(path):
    raise programs.UserError(f'--output={path}: it exists; name a new folder.')


def write(path: pathlib.Path, parts: Parts) -> int:
  """Writes predictions; the file or folder appears only when complete.

  Args:
    path: The file or folder, see `check`.
    parts: The examples.

  Returns:
    The number of examples.

  Raises:
    UserError: If the values do not fit the format.
    OSError: If the file cannot be written.
  """
  count = 0

  def counted() -> Iterator[Columns]:
    nonlocal count
    for columns in map(_joined, parts):
      count += len(columns['index'])
      yield columns

  path.parent.mkdir(parents=True, exist_ok=True)
  FORMS[path.suffix](path, counted())
  return count


def shown(parts: Parts) -> tuple[str, int]:
  """Formats the first examples as a table, without vectors and masks.

  Returns:
    The table, and the number of all examples.
  """
  rows: list[Any] = []
  names: list[str] = []
  count = 0
  for columns in map(_joined, parts):
    names = [name for name, column in columns.items() if column.ndim == 1]
    count += len(columns['index'])
    if len(rows) < _MAX_SHOWN:
      rows += zip(*(columns[name].tolist() for name in names), strict=True)
  table = tabulate.tabulate(
      rows[:_MAX_SHOWN],
      headers=names,
      floatfmt='.4g',
      disable_numparse=[i for i, name in enumerate(names) if name == 'source'],
  )
  if count > _MAX_SHOWN:
    table += f'\n... {count - _MAX_SHOWN:,} more: --output=FILE writes all.'
  return table, count


def _joined(part: tuple[Columns, Columns]) -> Columns:
  """Returns known columns, then predicted ones with different names."""
  known, predicted = part
  return {**known, **predicted, **known}


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[TextIO]:
  """Opens a text file that replaces `path` when it is complete."""
  with (
      whole_files.replacing(path) as temporary,
      open(temporary, 'w', encoding='utf-8', newline='') as file,
  ):
    yield file


def _write_jsonl(path: pathlib.Path, parts: Iterator[Columns]) -> None:
  with _opened(path) as file:
    for columns in parts:
      for row in range(len(columns['index'])):
        values = {n: _plain(column[row]) for n, column in columns.items()}
        file.write(json.dumps(values, ensure_ascii=False) + '\n')


def _plain(value: Any) -> Any:
  return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _write_csv(path: pathlib.Path, parts: Iterator[Columns]) -> None:
  with _opened(path) as file:
    writer = csv.writer(file)
    for index, columns in enumerate(parts):
      flat = _flat(columns)
      if index == 0:
        writer.writerow(flat)
      writer.writerows(zip(*(c.tolist() for c in flat.values()), strict=True))


def _flat(columns: Columns) -> Columns:
  """Splits columns into columns of one number per example."""
  flat = {}
  for name, column in columns.items():
    if column.ndim == 1:
      flat[name] = column
      continue
    cells = column.reshape([len(column), -1])
    if cells.shape[1] > _MAX_CELLS:
      raise programs.UserError(
          f'--output: each {name} has {cells.shape[1]:,} numbers, too many for '
          'columns of a CSV file; write a .jsonl or .npz, or a folder of masks.'
      )
    flat |= {f'{name}_{i}': cells[:, i] for i in range(cells.shape[1])}
  return flat


def _write_parquet(path: pathlib.Path, parts: Iterator[Columns]) -> None:
  # TensorFlow Datasets depends on it.
  import pyarrow
  from pyarrow import parquet

  with (
      whole_files.replacing(path) as temporary,
      contextlib.ExitStack() as stack,
  ):
    writer: Any = None
    for columns in parts:
      table = pyarrow.table({
          name: pyarrow.array(column if column.ndim == 1 else column.tolist())
          for name, column in columns.items()
      })
      writer = writer or stack.enter_context(
          parquet.ParquetWriter(temporary, table.schema)
      )
      writer.write_table(table)


def _write_npz(path: pathlib.Path, parts: Iterator[Columns]) -> None:
  found = list(parts)
  joined = {name: np.concatenate([p[name] for p in found]) for name in found[0]}
  array_files.write(
      path,
      {  # Fixed-width strings: objects would need pickle.
          name: column.astype(str) if column.dtype == object else column
          for name, column in joined.items()
      },
  )


def _write_masks(path: pathlib.Path, parts: Iterator[Columns]) -> None:
  """Writes each mask as a PNG of class numbers, with a palette."""
  import matplotlib
  from PIL import Image

  colors = matplotlib.colormaps['tab20'](np.arange(256) % 20)[:, :3]
  palette = (255 * colors).astype(np.uint8)
  palette[0] = 0  # Usually the background.
  with scratch.folder('.masks_', path.parent) as parent:
    folder = parent / path.name
    folder.mkdir()
    for columns in parts:
      mask = _mask(path, columns)
      for name, pixels in zip(_stems(columns), mask, strict=True):
        image = Image.fromarray(pixels.astype(np.uint8), mode='P')
        image.putpalette(palette.tobytes())
        image.save(folder / f'{name}.png')
    folder.rename(path)


def _mask(path: pathlib.Path, columns: Columns) -> np.ndarray:
  """Returns the column of masks, ``[num_examples, height, width]``."""
  for column in columns.values():
    if column.ndim == 3 and column.dtype.kind in 'iu' and column.max() < 256:
      return column
  raise programs.UserError(
      f'--output={path}: the run predicts {", ".join(columns)}, and no masks; '
      f'write a file that ends in {", ".join(filter(None, FORMS))}.'
  )


def _stems(columns: Columns) -> list[str]:
  """Returns file names from the index, and the name of the image's file."""
  names = [f'{index:05d}' for index in columns['index'].tolist()]
  if 'source' not in columns:
    return names
  stems = [pathlib.Path(source).stem for source in columns['source']]
  return [f'{name}_{stem}' for name, stem in zip(names, stems, strict=True)]


FORMS: dict[str, Callable[[pathlib.Path, Iterator[Columns]], None]] = {
    '.jsonl': _write_jsonl,
    '.csv': _write_csv,
    '.parquet': _write_parquet,
    '.npz': _write_npz,
    '': _write_masks,
}
