"""Reads a user's own examples: tables, records, texts and images."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import errors, images, spec
from .sources import csv_files

_TABLES = ('.csv', '.tsv')
_RECORDS = ('.json', '.jsonl')
_TEXTS = ('.txt',)


@dataclasses.dataclass(frozen=True)
class Record:
  """A raw example.

  Attributes:
    name: Where it comes from, such as 'new.csv, line 3'.
    values: Its values by column or by feature.
    folder: The folder to which paths of images are relative.
  """

  name: str
  values: Mapping[str, Any]
  folder: str = ''


def read(paths: Sequence[str], data_spec: spec.Spec) -> list[Record]:
  """Reads raw examples from files.

  Args:
    paths: Tables (.csv, .tsv), records (.jsonl, one per line, or .json, one or
      a list), texts (.txt, one per line), images, and folders of images.
    data_spec: The features of the data that the model was trained on.

  Returns:
    The examples in the order of the files.

  Raises:
    DataError: If a file cannot be read or does not fit the features.
  """
  found = [record for path in paths for record in _records(path, data_spec)]
  if not found:
    raise errors.DataError(
        f'there is no example in {", ".join(paths) or "no file"}.'
    )
  return found


def _records(path: str, data_spec: spec.Spec) -> Iterator[Record]:
  file = pathlib.Path(path).expanduser()
  suffix = file.suffix.lower()
  if file.is_dir():
    inside = (
        found
        for found in file.rglob('*')
        if found.suffix.lower() in images.SUFFIXES
    )
    for found in sorted(inside):
      yield from _records(str(found), data_spec)
  elif suffix in images.SUFFIXES:
    name = _only(path, data_spec, spec.IMAGE)
    yield Record(path, {name: str(file)})
  elif suffix in _TABLES:
    with errors.prefixed(path):
      read_rows = csv_files.read(file)
    for line, cells in zip(read_rows.lines, read_rows.cells, strict=True):
      values = dict(zip(read_rows.columns, cells, strict=True))
      yield Record(f'{path}, line {line}', values, str(file.parent))
  elif suffix in _RECORDS:
    yield from _json(path, file)
  elif suffix in _TEXTS:
    name = _only(path, data_spec, spec.TEXT)
    for line, text in enumerate(_text(path, file).split('\n'), 1):
      if text.strip():
        yield Record(f'{path}, line {line}', {name: text.strip('\r')})
  else:
    known = (*_TABLES, *_RECORDS, *_TEXTS, *images.SUFFIXES)
    raise errors.DataError(
        f'{path}: expected a file of {", ".join(known)}, or a folder of images.'
    )


def _only(path: str, data_spec: spec.Spec, kind: str) -> str:
  """Returns the only input, which must have the kind of the file."""
  if len(data_spec.inputs) != 1 or not data_spec.of_kind(kind):
    listed = ', '.join(f'{n} ({f.kind})' for n, f in data_spec.inputs.items())
    raise errors.DataError(
        f'{path} holds one {kind}, but the inputs are {listed}; give them as '
        'rows of a .csv or records of a .jsonl.'
    )
  [(name, feature)] = data_spec.inputs.items()
  return feature.columns[0] if feature.columns else name


def _text(path: str, file: pathlib.Path) -> str:
  try:
    return file.read_text(encoding='utf-8-sig')
  except (OSError, ValueError) as error:
    raise errors.DataError(
        f'{path} cannot be read: {errors.one_line(error)}.'
    ) from None


def _json(path: str, file: pathlib.Path) -> Iterator[Record]:
  text = _text(path, file)
  if file.suffix.lower() == '.json':
    pieces = [(path, text)]
  else:
    lines = enumerate(text.split('\n'), 1)
    pieces = [(f'{path}, line {n}', t) for n, t in lines if t.strip()]
  for where, piece in pieces:
    try:
      found = json.loads(piece)
    except ValueError as error:
      raise errors.DataError(
          f'{where}: not JSON: {errors.one_line(error)}.'
      ) from None
    is_list = isinstance(found, list) and file.suffix.lower() == '.json'
    for index, values in enumerate(found if is_list else [found]):
      name = f'{where}, record {index}' if is_list else where
      if not isinstance(values, dict):
        raise errors.DataError(
            f'{name}: {type(values).__name__}; expected a record, such as '
            '{"column": value}.'
        )
      yield Record(name, values, str(file.parent))
