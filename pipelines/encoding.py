"""Encodes a user's own rows, records, texts and images as model inputs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import errors, images, raw_examples, spec, texts
from .sources import csv_files, table


@dataclasses.dataclass(frozen=True)
class Encoded:
  """Examples as model inputs.

  Attributes:
    names: Where each example comes from.
    arrays: ``[num_examples, ...]`` per input of the spec.
    notes: Messages for the user.
  """

  names: list[str]
  arrays: dict[str, np.ndarray]
  notes: list[str]


def encode(
    records: Sequence[raw_examples.Record],
    data_spec: spec.Spec,
    *,
    may_lack: bool = False,
    resizes: bool = False,
    skips_damaged: bool = False,
) -> Encoded:
  """Encodes raw examples by the features of the training data.

  A feature is read from the value of its own name: a path or nested integers
  for an image, a string for a text, and otherwise numbers, nested in the
  feature's shape. If there is none, a feature with columns is read from their
  values. Values are parsed like the cells of a table: surrounding spaces are
  ignored, and `csv_files.is_missing` determines which values are missing.

  Args:
    records: The examples; values that no input uses are ignored.
    data_spec: The features.
    may_lack: Whether numbers may be missing: NaN, which counts as the mean.
    resizes: Whether images of other sizes are resized.
    skips_damaged: Whether examples with images that cannot be decoded are left
      out, with a note.

  Returns:
    The inputs.

  Raises:
    DataError: If a value is missing or does not fit, with the names of the
      example and the column.

  Example:
    >>> from pipelines import encoding, raw_examples, spec
    >>> house = spec.Spec({
    ...     'area': spec.Feature('numbers', (1,), 'float32', columns=('m2',))
    ... }, targets=())
    >>> first = raw_examples.Record('first', {'m2': '60'})
    >>> encoding.encode([first], house).arrays['area'].tolist()
    [[60.0]]
  """
  encoder = _Encoder(records, may_lack, resizes)
  arrays = {
      name: encoder.feature(name, feature)
      for name, feature in data_spec.inputs.items()
  }
  names = [record.name for record in records]
  if not encoder.damaged:
    return Encoded(names, arrays, encoder.notes)
  notes = [f'{why}; skipped.' for why in encoder.damaged.values()]
  if not skips_damaged or len(notes) == len(names):
    raise errors.DataError(f'{next(iter(encoder.damaged.values()))}.')
  kept = [i for i in range(len(names)) if i not in encoder.damaged]
  return Encoded(
      [names[i] for i in kept],
      {name: array[kept] for name, array in arrays.items()},
      [*notes, *encoder.notes],
  )


class _Encoder:

  def __init__(
      self,
      records: Sequence[raw_examples.Record],
      may_lack: bool,
      resizes: bool,
  ):
    self.notes: list[str] = []
    self.damaged: dict[int, str] = {}  # Reasons, by index of the example.
    self._records, self._may_lack, self._resizes = records, may_lack, resizes

  def feature(self, name: str, feature: spec.Feature) -> np.ndarray:
    """Returns a feature of all records, ``[num_examples, ...]``."""
    if feature.kind == spec.IMAGE:
      return self._images(name, feature)
    if feature.kind == spec.TEXT and feature.tokenizer:
      return self._texts(name, feature)
    if feature.kind == spec.CATEGORIES and feature.vocabularies:
      return self._categories(name, feature)
    if feature.columns and feature.kind == spec.NUMBERS:
      found = [
          [
              self._number(record, column, value)
              for column, value in self._cells(record, name, feature.columns)
          ]
          for record in self._records
      ]
      return np.array(found, np.float32).reshape([-1, *feature.shape])
    return np.stack([self._array(r, name, feature) for r in self._records])

  def _cells(
      self, record: raw_examples.Record, name: str, columns: Sequence[str]
  ) -> list[tuple[str, Any]]:
    value = record.values.get(name)
    if len(columns) == 1 and _is_cell(value):
      value = [value]
    if isinstance(value, list | tuple | np.ndarray) and (
        len(value) == len(columns)
    ):
      return [(c, _cell(v)) for c, v in zip(columns, value, strict=True)]
    return [(column, self._value(record, column)) for column in columns]

  def _value(self, record: raw_examples.Record, column: str) -> Any:
    if column not in record.values:
      raise errors.DataError(
          f'{record.name}: there is no column {column!r}'
          f'{csv_files.nearest(column, list(record.values))}'
      )
    return _cell(record.values[column])

  def _number(
      self, record: raw_examples.Record, column: str, value: Any
  ) -> float:
    try:
      cell = '' if value is None else str(value)
      return table.number(cell, '' if self._may_lack else _LACKS_NUMBER)
    except ValueError as error:
      raise _wrong(record, column, value, str(error)) from None

  def _categories(self, name: str, feature: spec.Feature) -> np.ndarray:
    columns = feature.columns or (name,)
    known = [
        {value: index for index, value in enumerate(vocabulary) if index}
        for vocabulary in feature.vocabularies
    ]
    found = np.zeros([len(self._records), len(columns)], np.int32)
    for row, record in enumerate(self._records):
      cells = self._cells(record, name, columns)
      for place, (column, value) in enumerate(cells):
        text = '' if value is None else str(value)
        # A category of this name in training takes precedence.
        is_missing = csv_files.is_missing(text) and text not in known[place]
        if is_missing and table.MISSING not in known[place]:
          raise _wrong(
              record,
              column,
              value,
              'a category is missing, but none was missing in training',
          )
        text = table.MISSING if is_missing else text
        found[row, place] = known[place].get(text, 0)
    for place, column in enumerate(columns):
      self._tell_unknown(column, found[:, place])
    return found

  def _tell_unknown(self, column: str, found: np.ndarray) -> None:
    if unknown := int((found == 0).sum()):
      first = self._records[int(np.argmax(found == 0))]
      self.notes.append(
          f'{column}: {unknown:,} of {len(found):,} values were not in the '
          'training split, and count as unknown; the first is in '
          f'{first.name}.'
      )

  def _texts(self, name: str, feature: spec.Feature) -> np.ndarray:
    columns = feature.columns or (name,)
    found = []
    for record in self._records:
      cells = self._text_cells(record, name, columns)
      for column, cell in cells:
        if not isinstance(cell, str | None):
          raise _wrong(record, column, cell, 'expected a text')
      found.append(' '.join(cell for _, cell in cells if cell))
    [length] = feature.shape
    lengths = [len(texts.tokens(text, feature.tokenizer)) for text in found]
    if cut := sum(each > length for each in lengths):
      self.notes.append(
          f'{columns[0]}: {cut:,} of {len(found):,} texts are cut to {length} '
          'tokens, as in training.'
      )
    [vocabulary] = feature.vocabularies
    return texts.encode(found, vocabulary, feature.tokenizer, length)

  def _text_cells(
      self, record: raw_examples.Record, name: str, columns: Sequence[str]
  ) -> list[tuple[str, Any]]:
    if name in record.values:
      return [(name, self._value(record, name))]
    return self._cells(record, name, columns)

  def _images(self, name: str, feature: spec.Feature) -> np.ndarray:
    array = np.zeros([len(self._records), *feature.shape], np.uint8)
    files = {}
    for index, record in enumerate(self._records):
      value = self._value(record, name)
      if isinstance(value, str | os.PathLike):
        files[index] = os.path.join(record.folder, os.path.expanduser(value))
      else:
        array[index] = self._array(record, name, feature)
    files = {
        index: path
        for index, path in files.items()
        if self._is_image(index, path, feature)
    }
    loaded, broken = images.load(
        list(files.values()), feature.shape, self._resizes
    )
    for place, why in broken.items():
      index = list(files)[place]
      self.damaged[index] = f'{self._records[index].name}: {why}'
    array[list(files)] = loaded
    return array

  def _is_image(self, index: int, path: str, feature: spec.Feature) -> bool:
    """Returns whether a file is an image; records it as damaged if not.

    Raises:
      DataError: If the file does not exist, or its image has another size.
    """
    height, width, channels = feature.shape
    record = self._records[index]
    try:
      header = images.read_header(path)
    except errors.DataError as error:
      if not os.path.isfile(path):
        raise
      self.damaged[index] = errors.one_line(error)
      return False
    if not self._resizes and header[:2] != (height, width):
      raise errors.DataError(
          f'{record.name}: the image is {header.height} x {header.width}, but '
          f'the model takes {height} x {width}. Resize it, or set resize.'
      )
    if channels == 1 and header.channels >= 3:
      self.notes.append(f'{record.name}: colors are converted to gray.')
    return True

  def _array(
      self, record: raw_examples.Record, name: str, feature: spec.Feature
  ) -> np.ndarray:
    value = self._value(record, name)
    try:
      given = np.asarray(float(value) if isinstance(value, str) else value)
    except ValueError:  # Not a number, or lists of different lengths.
      given = np.array(None)
    is_float = feature.dtype.startswith('float')
    if given.dtype.kind in 'biuf' and given.shape in (feature.shape, ()):
      with np.errstate(over='ignore'):  # Infinities are rejected below.
        found = given.reshape(feature.shape).astype(feature.dtype)
      if np.isfinite(found).all() if is_float else np.all(found == given):
        return found
    raise _wrong(
        record, name, value, f'expected {feature.dtype} {list(feature.shape)}'
    )


_LACKS_NUMBER = (
    'a number is missing; may_lack replaces missing numbers by the mean'
)


def _is_cell(value: Any) -> bool:
  return isinstance(value, str | bool | int | float | np.generic)


def _cell(value: Any) -> Any:
  """Converts a value to a table cell; None if it is empty."""
  if isinstance(value, np.generic):
    value = value.item()
  value = value.strip() if isinstance(value, str) else value
  return None if isinstance(value, str) and not value else value


def _wrong(
    record: raw_examples.Record, column: str, value: Any, what: str
) -> errors.DataError:
  shown = ' '.join(repr(value).split())
  shown = shown if len(shown) < 40 else f'{shown[:40]}...'
  return errors.DataError(
      f'{record.name}, column {column!r}: '
      f'{"nothing" if value is None else shown}; {what}.'
  )
