"""Reads a CSV file as rows of text, each with its first line number."""

from __future__ import annotations

import csv
import dataclasses
import difflib
import io
import math
import pathlib
import sys
from collections.abc import Iterator, Sequence

from .. import errors

SEPARATORS = (',', ';', '\t')
# Names for characters that are hard to type on a command line.
_NAMED = {'tab': '\t', 'comma': ',', 'semicolon': ';', 'space': ' '}
# Spellings of a missing value, in lower case.
_NOTHING = frozenset(('', 'na', 'n/a', 'nan', 'null', 'none', '?', '-'))


@dataclasses.dataclass(frozen=True)
class CsvFile:
  """The rows of a file.

  Attributes:
    columns: The name of each column.
    cells: The text of each cell of each row, without surrounding spaces.
    lines: The line at which each row begins, from 1.
    keys: The bytes of each row in the file.
    separator: The separator of cells.
  """

  columns: tuple[str, ...]
  cells: list[list[str]]
  lines: list[int]
  keys: list[bytes]
  separator: str

  def column(self, name: str) -> list[str]:
    """Returns the cells of a column by its name."""
    index = self.columns.index(name)
    return [row[index] for row in self.cells]


def read(path: pathlib.Path, separator: str = '') -> CsvFile:
  """Reads a file in UTF-8, with or without a byte-order mark.

  Args:
    path: The file. Its first row holds the column names; cells may be quoted
      and may then contain line breaks.
    separator: The separator of cells, or 'tab', 'comma', 'semicolon' or
      'space'. Default: the one of , ; and tab that splits the first row into
      the most cells.

  Returns:
    The rows; empty lines are ignored.

  Raises:
    DataError: If the file cannot be read, or the number of cells in a row
      differs from that in the first.
  """
  text = _text(path)
  separator = _NAMED.get(separator, separator) or _guessed(text)
  if len(separator) != 1:
    raise errors.DataError(
        f'separator: expected one character or one of {", ".join(_NAMED)}, '
        f'got {separator!r}.'
    )
  found = _parsed(text, separator)
  line, _, header = next(found, (1, '', []))
  columns = _names(line, header)
  rows = CsvFile(columns, [], [], [], separator)
  for line, raw, cells in found:
    if len(cells) != len(columns):
      raise errors.DataError(
          f'line {line} has {len(cells)} cells, the first row {len(columns)}, '
          f'separated by {separator!r}; quote cells that contain it, or give '
          'another separator=.'
      )
    rows.cells.append(cells)
    rows.lines.append(line)
    rows.keys.append(raw.encode())
  if not rows.cells:
    raise errors.DataError('there are no rows after the column names.')
  return rows


def is_missing(text: str) -> bool:
  """Returns whether a cell represents a missing value.

  The rule is the same for numbers, categories and labels, in files and in
  records: a cell is missing if it is empty, NA, N/A, NaN, null, none, ? or -,
  in any case, with or without spaces. A text is missing only if it is empty.

  Args:
    text: A cell.

  Returns:
    Whether it does.

  Example:
    >>> from pipelines.sources import csv_files
    >>> [csv_files.is_missing(cell) for cell in ('', ' NA ', 'none', '0')]
    [True, True, True, False]
  """
  return text.strip().lower() in _NOTHING


def number(text: str) -> float | None:
  """Parses a number.

  Args:
    text: A cell.

  Returns:
    The number, NaN if it is missing by `is_missing`, or None for other texts.

  Example:
    >>> from pipelines.sources import csv_files
    >>> csv_files.number('1e3'), csv_files.number('NA'), csv_files.number('red')
    (1000.0, nan, None)
  """
  try:
    return None if '_' in text else float(text)  # Python accepts 1_000.
  except ValueError:
    return math.nan if is_missing(text) else None


def nearest(name: str, known: Sequence[str]) -> str:
  """Returns the end of a message about an unknown name: a suggestion.

  Args:
    name: The name.
    known: The known names.

  Returns:
    The text, from a semicolon to the full stop.
  """
  close = difflib.get_close_matches(name, known, n=3)
  if close:
    return f'; did you mean {" or ".join(close)}?'
  listed = ', '.join(known[:20]) + (', ...' if len(known) > 20 else '')
  return f'; there are {listed}.'


def _text(path: pathlib.Path) -> str:
  try:
    data = path.read_bytes()
  except FileNotFoundError:
    raise errors.DataError('there is no such file.') from None
  except IsADirectoryError:
    raise errors.DataError('it is a directory; expected a .csv file.') from None
  except OSError as error:
    raise errors.DataError(
        f'the file cannot be read: {error.strerror or error}.'
    ) from None
  try:
    text = data.decode('utf-8-sig')
  except UnicodeDecodeError as error:
    line = data.count(b'\n', 0, error.start) + 1
    raise errors.DataError(
        f'line {line}: byte 0x{data[error.start]:02x} is not UTF-8; convert '
        'the file, for example with iconv -f latin1 -t utf-8.'
    ) from None
  if '\0' in text:
    line = text.count('\n', 0, text.index('\0')) + 1
    raise errors.DataError(
        f'line {line} contains a zero byte; expected a text file.'
    )
  return text


def _guessed(text: str) -> str:
  def num_cells(separator: str) -> int:
    try:
      return len(next(_parsed(text, separator), (0, '', []))[2])
    except errors.DataError:
      return 0

  return max(SEPARATORS, key=num_cells)


def _parsed(text: str, separator: str) -> Iterator[tuple[int, str, list[str]]]:
  """Yields the line number, text and cells of each row that is not empty."""
  taken: list[str] = []

  def lines() -> Iterator[str]:
    for line in io.StringIO(text, newline=''):
      taken.append(line)
      yield line

  limit = csv.field_size_limit(sys.maxsize)
  reader = csv.reader(
      lines(),
      delimiter=separator,
      strict=True,
      skipinitialspace=separator != ' ',
  )
  line = 1
  try:
    for cells in reader:
      raw = ''.join(taken)
      taken.clear()
      if raw.strip():
        yield line, raw.rstrip('\r\n'), [cell.strip() for cell in cells]
      line = reader.line_num + 1
  except csv.Error as error:
    raise errors.DataError(
        f'line {line} cannot be read: {errors.one_line(error)}; double the '
        'quotation marks inside a quoted cell.'
    ) from None
  finally:
    csv.field_size_limit(limit)


def _names(line: int, header: Sequence[str]) -> tuple[str, ...]:
  if not header:
    raise errors.DataError('the file is empty; expected a row of column names.')
  for index, name in enumerate(header):
    if not name:
      raise errors.DataError(
          f'line {line}: column {index + 1} has no name; expected one name per '
          'column in the first row.'
      )
    if name in header[:index]:
      raise errors.DataError(
          f'line {line}: two columns are named {name!r}; rename one.'
      )
  if all(number(name) is not None for name in header):
    raise errors.DataError(
        f'line {line}: {", ".join(header[:3])}, ... are numbers; expected '
        'column names in the first row.'
    )
  return tuple(header)
