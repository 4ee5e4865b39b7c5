"""Determines the kinds of a table's columns from their cells or the query."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from .. import errors, spec
from . import csv_files

# The keys of a query that name columns.
KEYS = ('label', 'classes', 'numbers', 'categories', 'text', 'ignore', 'split')
# A label of whole numbers with more different values is a number.
_MOST_INTEGER_CLASSES = 20
# Pairs of keys that may both name the label.
_LABEL_TOO = (('label', 'numbers'), ('label', 'categories'))

Query = Mapping[str, Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Columns:
  """The columns of each kind, in the order of the file.

  Attributes:
    numbers: Columns of numbers.
    categories: Columns of categories.
    text: Columns of text.
    label: The columns to predict.
    label_kind: `class`, `classes` or `numbers`.
    notes: The decisions, as messages for the user.
  """

  numbers: tuple[str, ...]
  categories: tuple[str, ...]
  text: tuple[str, ...]
  label: tuple[str, ...]
  label_kind: str
  notes: tuple[str, ...]


def decide(
    table: csv_files.CsvFile, query: Query, like: spec.Spec | None = None
) -> Columns:
  """Decides the kind of each column.

  Args:
    table: The file.
    query: The names of columns by key of `KEYS`.
    like: The features to read the file for; other columns are left out.
      Default: cells and query decide.

  Returns:
    The columns.

  Raises:
    DataError: If the query does not fit the file, or neither the cells nor the
      query determine the kind of a column.
  """
  _check(table.columns, query)
  label = tuple(query.get('label') or query.get('classes', ()))
  if like:
    query = _like(table.columns, query, like)
    trained = like[spec.LABEL].columns
    # Columns are identified by name, not by order.
    label = trained if sorted(trained) == sorted(label) else label
  taken = {*label, *query.get('ignore', ()), *query.get('split', ())}
  kinds: dict[str, list[str]] = {key: [] for key in _INPUTS}
  for column in table.columns:
    if column not in taken:
      said = [key for key in _INPUTS if column in query.get(key, ())]
      kind = said[0] if said else _kind(column, table.column(column))
      kinds[kind].append(column)
  if like:
    kinds = {key: list(query[key]) for key in _INPUTS}
  if not any(kinds.values()):
    raise errors.DataError(
        f'the run takes {", ".join(like.inputs)}, which no columns give.'
        if like
        else 'no columns are left to predict the label from.'
    )
  label_kind = (
      like[spec.LABEL].kind if like else _label_kind(table, query, label)
  )
  notes = [
      f'{kind}: {", ".join(found)}.' for kind, found in kinds.items() if found
  ]
  notes.append(f'label: {", ".join(label)}, {_LABELS[label_kind]}.')
  numbers, categories, text = (tuple(kinds[key]) for key in _INPUTS)
  return Columns(numbers, categories, text, label, label_kind, tuple(notes))


_INPUTS = ('numbers', 'categories', 'text')
# The names of the corresponding features.
_NAMES = ('numbers', 'categories', 'tokens')
_LABELS = {
    spec.CLASS: 'a class (numbers= of the same name makes it a number)',
    spec.CLASSES: 'classes joined by |',
    spec.NUMBERS: 'numbers (categories= of the same name makes it a class)',
}


def _check(columns: Sequence[str], query: Query) -> None:
  """Checks that a query uses columns of the file, each for one purpose."""
  given: dict[str, str] = {}
  for key in KEYS:
    for column in query.get(key, ()):
      if column not in columns:
        raise errors.DataError(
            f'{key}: there is no column {column!r}'
            f'{csv_files.nearest(column, columns)}'
        )
      before = given.setdefault(column, key)
      if before != key and (before, key) not in _LABEL_TOO:
        raise errors.DataError(
            f'{key}: the column {column!r} is also named by {before}=; remove '
            'it from one of them.'
        )
  if 'label' in query and 'classes' in query:
    raise errors.DataError(
        'classes: the label is also named by label=; give only one of the two.'
    )
  if 'label' not in query and 'classes' not in query:
    raise errors.DataError(
        'label: which column should be predicted? Give it as csv:FILE?label='
        f'COLUMN{csv_files.nearest("", columns)}'
    )
  if len(query.get('classes', ())) > 1:
    raise errors.DataError(
        f'classes: expected one column, got {", ".join(query["classes"])}.'
    )


def _like(
    columns: Sequence[str], query: Query, like: spec.Spec
) -> dict[str, Sequence[str]]:
  """Returns a query that yields the features of another table."""
  wanted = {
      key: like[name].columns if name in like else ()
      for key, name in zip(_INPUTS, _NAMES, strict=True)
  }
  for key, names in wanted.items():
    for name in names:
      if name not in columns:
        raise errors.DataError(
            f'{key}: there is no column {name!r}, which was trained on'
            f'{csv_files.nearest(name, columns)}'
        )
  used = {name for names in wanted.values() for name in names}
  rest = [name for name in columns if name not in used]
  kept = {k: v for k, v in query.items() if k in ('label', 'classes', 'split')}
  return {**kept, **wanted, 'ignore': rest}


def _kind(column: str, cells: Sequence[str]) -> str:
  found = [csv_files.number(cell) for cell in cells]
  read = [each for each in found if each is not None]
  if len(read) == len(cells) and not all(map(math.isnan, read)):
    return 'numbers'
  present = [cell for cell in cells if not csv_files.is_missing(cell)]
  different = set(present)
  if 0 < 2 * len(different) <= len(present):
    return 'categories'
  if any(len(cell.split()) > 2 for cell in different):
    return 'text'
  shown = ', '.join(map(repr, sorted(different)[:3])) or 'nothing'
  raise errors.DataError(
      f'column {column!r}: {len(different):,} different values in '
      f'{len(cells):,} rows, such as {shown}; declare it with categories=, '
      f'text= or ignore={column}.'
  )


def _label_kind(
    table: csv_files.CsvFile, query: Query, label: tuple[str, ...]
) -> str:
  if 'classes' in query:
    return spec.CLASSES
  said = {
      kind
      for key, kind in (('numbers', spec.NUMBERS), ('categories', spec.CLASS))
      for column in label
      if column in query.get(key, ())
  }
  if len(label) > 1:
    if spec.CLASS in said:
      raise errors.DataError(
          f'categories: there are several labels, {", ".join(label)}; only a '
          'single column can be a class, several are numbers.'
      )
    return spec.NUMBERS
  if said:
    return said.pop()
  cells = [
      cell for cell in table.column(label[0]) if not csv_files.is_missing(cell)
  ]
  if any(csv_files.number(cell) is None for cell in cells):
    return spec.CLASS
  is_whole = all(cell.lstrip('+-').isdecimal() for cell in cells)
  return (
      spec.CLASS
      if is_whole and len(set(cells)) <= _MOST_INTEGER_CLASSES
      else spec.NUMBERS
  )
