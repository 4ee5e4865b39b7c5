"""Tables: the columns of a CSV file as numbers, categories, text and labels."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence

import numpy as np

from .. import datasets, errors, options, spec, texts
from . import checks, classes, columns, csv_files, hashing, kinds, queries

MEAN, CATEGORY = 'mean', 'category'
# The category of missing values, where allowed.
MISSING = '(missing)'
BETWEEN_CLASSES = '|'
_LARGEST = float(np.finfo(np.float32).max)
_SINGLE = ('split', 'separator', 'tokenizer')
KEYS = (*columns.KEYS, 'missing', 'separator', 'tokenizer')


def of_csv(name: str, chosen: options.Options) -> datasets.Dataset:
  """Opens a CSV file.

  A column whose cells are all numbers is one of `numbers`; one of repeated
  words (at most half as many different ones as rows) is one of `categories`;
  one of longer texts is `text`; any other must be declared. The label is a
  class if its cells are words, or whole numbers with at most 20 different
  values; otherwise it is a number. The notes report these decisions.

  Args:
    name: ``FILE?label=COLUMN&...``. The key `label` names the column to
      predict, or several columns of numbers; `classes`, instead, one column of
      class names joined by |. `numbers`, `categories`, `text` and `ignore`
      declare columns, including the label; `split` names a column of train,
      validation and test. `missing` is mean (a missing number is NaN, which
      counts as the mean), category (missing values are a category of their own)
      or both. `separator` and `tokenizer` are further keys. Commas join names;
      see `queries.parse` and `csv_files.is_missing`.
    chosen: Options of splits and the tokenization of texts.

  Returns:
    The data set, in memory: those of `numbers`, `categories` and `tokens` that
    exist, and `label`.

  Raises:
    DataError: If query, file or a cell is invalid, with line and column.
  """
  path, query = queries.parse(name, KEYS, _SINGLE)
  file = pathlib.Path(path).expanduser()
  with errors.prefixed(f'dataset: {file}'):
    table = csv_files.read(file, ''.join(query.get('separator', ())))
    decided = columns.decide(table, query, chosen.like)
    tokenizer = ''.join(query.get('tokenizer', ())) or chosen.tokenizer
    made = _Table(table, query, tokenizer, chosen)
    values = made.inputs(decided)
    values[spec.LABEL] = made.label(decided)
    notes = [*made.choice.notes, *decided.notes]
    for found in values.values():
      notes += found.notes
    return datasets.of_arrays(
        f'csv:{name}',
        {
            split: {f: found.arrays[split] for f, found in values.items()}
            for split in made.choice.parts
        },
        spec.Spec({f: found.feature for f, found in values.items()}),
        notes=notes,
        left_out=made.choice.left_out,
    )


class _Table:

  def __init__(
      self,
      table: csv_files.CsvFile,
      query: columns.Query,
      tokenizer: str,
      chosen: options.Options,
  ):
    self._rows = table
    self._may_lack = query.get('missing', ())
    for value in self._may_lack:
      if value not in (MEAN, CATEGORY):
        raise errors.DataError(
            f'missing: expected {MEAN}, {CATEGORY} or both, got {value!r}.'
        )
    self._tokenizer, self._max_tokens = tokenizer, chosen.max_tokens
    self._text = chosen.like.get('tokens') if chosen.like else None
    own = self._own_splits(query)
    keys: dict[str, list[bytes]] = {}
    for split, key in zip(own, table.keys, strict=True):
      keys.setdefault(split, []).append(key)
    self.choice = hashing.choose(keys, chosen)
    self._places = {
        split: np.flatnonzero(np.array(own) == part.own)[part.indices]
        for split, part in self.choice.parts.items()
    }

  def inputs(self, decided: columns.Columns) -> dict[str, checks.Values]:
    """Makes the input features."""
    values = {}
    if decided.numbers:
      found = self._numbers(
          decided.numbers, _LACKS_NUMBER if MEAN not in self._may_lack else ''
      )
      feature = spec.Feature(
          spec.NUMBERS, found.shape[1:], 'float32', columns=decided.numbers
      )
      values['numbers'] = self._split(feature, found)
      lacking = np.isnan(found).sum(axis=0)
      values['numbers'].notes.extend(
          f'{column}: {number:,} of {len(found):,} numbers are missing, and '
          'count as the mean.'
          for column, number in zip(decided.numbers, lacking, strict=True)
          if number
      )
    if decided.categories:
      values['categories'] = kinds.categories(
          'categories',
          self._cut(self._categories(decided.categories)),
          decided.categories,
      )
    if decided.text:
      cells = self._texts(decided.text)
      values['tokens'] = checks.Values(
          *texts.feature(
              {
                  split: [cells[row] for row in places]
                  for split, places in self._places.items()
              },
              self._tokenizer,
              self._max_tokens,
              decided.text,
              like=self._text,
          )
      )
    return values

  def label(self, decided: columns.Columns) -> checks.Values:
    """Makes the label, which must not be missing."""
    if decided.label_kind == spec.NUMBERS:
      found = self._numbers(decided.label, _LACKS_LABEL)
      if len(decided.label) == 1:
        found = found[:, 0]
      feature = spec.Feature(
          spec.NUMBERS, found.shape[1:], 'float32', columns=decided.label
      )
      return self._split(feature, found)
    [column] = decided.label
    cells = self._rows.column(column)
    if decided.label_kind == spec.CLASSES:
      return self._classes(column, cells)
    for row, cell in enumerate(cells):
      if csv_files.is_missing(cell):
        raise self._wrong(row, column, _LACKS_CLASS)
    names = sorted(set(cells), key=_by_value)
    return classes.of_names(spec.LABEL, self._cut(np.array(cells)), names)

  def _classes(self, column: str, cells: Sequence[str]) -> checks.Values:
    lists = [
        {name.strip() for name in cell.split(BETWEEN_CLASSES)} - {''}
        for cell in cells
    ]
    for row, some in enumerate(lists):
      if any(map(csv_files.is_missing, some)):
        raise self._wrong(row, column, _LACKS_CLASSES)
    names = tuple(sorted(set().union(*lists)))
    if not names:
      raise errors.DataError('classes: no row has a class.')
    found = np.array([[name in each for name in names] for each in lists])
    feature = spec.Feature(spec.CLASSES, (len(names),), 'uint8', names)
    return self._split(feature, found.astype(np.uint8))

  def _numbers(self, names: Sequence[str], lacks: str) -> np.ndarray:
    """Returns numbers, float32 ``[num_rows, num_columns]``; see `number`."""
    found = np.empty([len(self._rows.cells), len(names)], np.float32)
    for place, column in enumerate(names):
      cells = self._rows.column(column)
      read = np.array([csv_files.number(cell) for cell in cells], np.float64)
      for row in np.flatnonzero(~(np.abs(read) <= _LARGEST)).tolist():
        try:
          number(cells[row], lacks)
        except ValueError as error:
          raise self._wrong(row, column, str(error)) from None
      checks.told_apart(f'column {column!r}', read)
      found[:, place] = read
    return found

  def _categories(self, names: Sequence[str]) -> np.ndarray:
    """Returns categories, strings ``[num_rows, num_columns]``."""
    found = []
    for column in names:
      cells = [
          '' if csv_files.is_missing(cell) else cell
          for cell in self._rows.column(column)
      ]
      if '' in cells and CATEGORY not in self._may_lack:
        raise self._wrong(cells.index(''), column, _LACKS_CATEGORY)
      found.append([cell or MISSING for cell in cells])
    return np.array(found).T

  def _texts(self, names: Sequence[str]) -> list[str]:
    cells = [self._rows.column(column) for column in names]
    if not self._may_lack:
      for column, found in zip(names, cells, strict=True):
        if '' in found:
          raise self._wrong(found.index(''), column, _LACKS_TEXT)
    return [' '.join(filter(None, row)) for row in zip(*cells, strict=True)]

  def _own_splits(self, query: columns.Query) -> list[str]:
    """Returns the split of each row according to the file, or 'train'."""
    if 'split' not in query:
      return [hashing.TRAIN] * len(self._rows.cells)
    [column] = query['split']
    found = []
    for row, cell in enumerate(self._rows.column(column)):
      split = hashing.ALIASES.get(cell.lower(), cell.lower())
      if split not in hashing.SPLITS:
        raise self._wrong(row, column, f'expected {", ".join(hashing.SPLITS)}')
      found.append(split)
    return found

  def _split(self, feature: spec.Feature, found: np.ndarray) -> checks.Values:
    return checks.Values(feature, self._cut(found), [])

  def _cut(self, found: np.ndarray) -> dict[str, np.ndarray]:
    return {split: found[places] for split, places in self._places.items()}

  def _wrong(self, row: int, column: str, what: str) -> errors.DataError:
    cell = self._rows.column(column)[row]
    return errors.DataError(
        f'line {self._rows.lines[row]}, column {column!r}: '
        f'{repr(cell) if cell else "nothing"}; {what}.'
    )


_LACKS_NUMBER = (
    f'a number is missing; use missing={MEAN} to count it as the mean'
)
_LACKS_CATEGORY = (
    f'a category is missing; use missing={CATEGORY} to make it one of its own'
)
_LACKS_TEXT = f'a text is missing; use missing={CATEGORY} to allow empty ones'
_LACKS_LABEL = 'a label cannot be missing; remove the row'
_LACKS_CLASS = f'{_LACKS_LABEL}, or rename the class if this is its name'
_LACKS_CLASSES = (
    'this means a missing label; use an empty cell for none of the classes, '
    'or rename the class if this is its name'
)


def number(cell: str, lacks: str) -> float:
  """Parses a number that fits float32.

  Args:
    cell: The text of the cell.
    lacks: The message if it is missing; empty if that is allowed.

  Returns:
    The number, or NaN if it is missing.

  Raises:
    ValueError: If it is invalid, with a remedy.
  """
  found = csv_files.number(cell)
  if found is None:
    raise ValueError('expected a number')
  if math.isnan(found) and lacks:
    raise ValueError(lacks)
  if abs(found) > _LARGEST:
    raise ValueError('expected a finite number of float32')
  return found


def _by_value(name: str) -> tuple[bool, float, str]:
  """Sort key: numbers by value, then words in alphabetical order."""
  found = csv_files.number(name)
  is_word = found is None or math.isnan(found)
  return is_word, 0.0 if is_word else found or 0.0, name
