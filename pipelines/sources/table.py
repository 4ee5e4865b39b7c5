"""Tables: the columns of a CSV file as numbers, categories, text and labels."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence

import numpy as np

from .. import datasets, errors, options, spec, texts
from . import checks, classes, columns, hashing, kinds, queries, rows

MEAN, CATEGORY = 'mean', 'category'
# What a missing category counts as, where it may be missing.
MISSING = '(missing)'
BETWEEN_CLASSES = '|'
_LARGEST = float(np.finfo(np.float32).max)
_SINGLE = ('split', 'separator', 'tokenizer')
KEYS = (*columns.KEYS, 'missing', 'separator', 'tokenizer')


def of_csv(name: str, chosen: options.Options) -> datasets.Dataset:
  """Opens a CSV file.

  A column whose cells are all numbers is one of `numbers`; one of words that
  repeat (at most half as many as there are rows) is one of `categories`; one
  of longer texts is `text`; any other is refused until it is named. The label
  is a class if its cells are words, or whole numbers of at most 20 different
  values; else it is a number. The notes say what was taken for what.

  Args:
    name: ``FILE?label=COLUMN&...``. Of the keys, `label` names the column to
      predict, or several of numbers; `classes`, instead, one of names joined
      by |; `numbers`, `categories`, `text` and `ignore` say what columns are,
      the label's too; `split` names a column of train, validation and test;
      `missing` is mean (a missing number is NaN, which counts as the mean),
      category (a missing one is a category of its own) or both; `separator`
      and `tokenizer`. Commas join names; see `queries.parse` for what has to
      be encoded in one. `rows.is_missing` tells what is missing.
    chosen: Splits, and how texts are cut.

  Returns:
    The data set, in memory: `numbers`, `categories` and `tokens` as far as
    there are such, and `label`.

  Raises:
    DataError: If the query, the file or a cell does not fit; line and column
      are named.
  """
  path, query = queries.parse(name, KEYS, _SINGLE)
  file = pathlib.Path(path).expanduser()
  with errors.prefixed(f'dataset: {file}'):
    table = rows.read(file, ''.join(query.get('separator', ())))
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
  """A file, cut into splits."""

  def __init__(
      self,
      table: rows.Rows,
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
    """Makes the features that are not to be predicted."""
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
              {split: [cells[row] for row in places]
               for split, places in self._places.items()},
              self._tokenizer, self._max_tokens, decided.text, like=self._text,
          )
      )
    return values

  def label(self, decided: columns.Columns) -> checks.Values:
    """Makes the feature to be predicted, which is never missing."""
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
      if rows.is_missing(cell):
        raise self._wrong(row, column, _LACKS_CLASS)
    names = sorted(set(cells), key=_by_value)
    return classes.of_names(spec.LABEL, self._cut(np.array(cells)), names)

  def _classes(self, column: str, cells: Sequence[str]) -> checks.Values:
    lists = [
        {name.strip() for name in cell.split(BETWEEN_CLASSES)} - {''}
        for cell in cells
    ]
    for row, some in enumerate(lists):
      if any(map(rows.is_missing, some)):
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
      read = np.array([rows.number(cell) for cell in cells], np.float64)
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
          '' if rows.is_missing(cell) else cell
          for cell in self._rows.column(column)
      ]
      if '' in cells and CATEGORY not in self._may_lack:
        raise self._wrong(cells.index(''), column, _LACKS_CATEGORY)
      found.append([cell or MISSING for cell in cells])
    return np.array(found).T

  def _texts(self, names: Sequence[str]) -> list[str]:
    """Returns the text of each row, all columns joined."""
    cells = [self._rows.column(column) for column in names]
    if not self._may_lack:
      for column, found in zip(names, cells, strict=True):
        if '' in found:
          raise self._wrong(found.index(''), column, _LACKS_TEXT)
    return [' '.join(filter(None, row)) for row in zip(*cells, strict=True)]

  def _own_splits(self, query: columns.Query) -> list[str]:
    """Returns the split that the file says of each row; else 'train'."""
    if 'split' not in query:
      return [hashing.TRAIN] * len(self._rows.cells)
    [column] = query['split']
    found = []
    for row, cell in enumerate(self._rows.column(column)):
      split = hashing.ALIASES.get(cell.lower(), cell.lower())
      if split not in hashing.SPLITS:
        raise self._wrong(
            row, column, f'expected {", ".join(hashing.SPLITS)}'
        )
      found.append(split)
    return found

  def _split(self, feature: spec.Feature, found: np.ndarray) -> checks.Values:
    return checks.Values(feature, self._cut(found), [])

  def _cut(self, found: np.ndarray) -> dict[str, np.ndarray]:
    return {split: found[places] for split, places in self._places.items()}

  def _wrong(self, row: int, column: str, what: str) -> errors.DataError:
    """Returns the error of a cell."""
    cell = self._rows.column(column)[row]
    return errors.DataError(
        f'line {self._rows.lines[row]}, column {column!r}: '
        f'{repr(cell) if cell else "nothing"}; {what}.'
    )


_LACKS_NUMBER = (
    f'a number is missing; missing={MEAN} counts it as the mean'
)
_LACKS_CATEGORY = (
    f'a category is missing; missing={CATEGORY} counts it as one of its own'
)
_LACKS_TEXT = f'a text is missing; missing={CATEGORY} counts it as an empty one'
_LACKS_LABEL = 'a label cannot be missing; leave its row out'
_LACKS_CLASS = f'{_LACKS_LABEL}, or give a class of that name another one'
_LACKS_CLASSES = (
    'it stands for a missing label; an empty cell stands for none of the '
    'classes, and a class of that name needs another one'
)


def number(cell: str, lacks: str) -> float:
  """Reads a number that fits float32.

  Args:
    cell: Its text.
    lacks: What to say, and to do, if it is missing; empty if it may be.

  Returns:
    The number, NaN where it is missing.

  Raises:
    ValueError: If it is none; the words say what to do.
  """
  found = rows.number(cell)
  if found is None:
    raise ValueError('expected a number')
  if math.isnan(found) and lacks:
    raise ValueError(lacks)
  if abs(found) > _LARGEST:
    raise ValueError('expected a finite number of float32')
  return found


def _by_value(name: str) -> tuple[bool, float, str]:
  """Sorts numbers by their value, before words by the alphabet."""
  found = rows.number(name)
  is_word = found is None or math.isnan(found)
  return is_word, 0.0 if is_word else found or 0.0, name
