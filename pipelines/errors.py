"""The error raised for data, and the conversion of other errors to one line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

# TensorFlow's additions around the reason of an error.
_NOISE = re.compile(
    r'\{\{[^}]*\}\}|\[\[.*?\]\]|\[Op:[^\]]*\]( name: *\S*)?'
    r'|Error in user-defined function passed to .*?: (?=\S+: )'
    r'|Iterator::\S+ '
)


class DataError(ValueError):
  """A data set that cannot be opened or used; the message is one line."""


def one_line(error: BaseException) -> str:
  r"""Returns the first informative line of an error, or its type.

  Args:
    error: The error.

  Returns:
    A line without a full stop.

  Example:
    >>> from pipelines import errors
    >>> errors.one_line(ValueError('first.\nsecond'))
    'first'
  """
  text = _NOISE.sub('', str(error))
  lines = [line.strip().rstrip('.:').strip() for line in text.splitlines()]
  return next((line for line in lines if line), type(error).__name__)


@contextlib.contextmanager
def prefixed(where: str) -> Iterator[None]:
  """Adds the place to the data errors of a block.

  Args:
    where: The place, such as the file being read.

  Yields:
    Nothing.

  Raises:
    DataError: The error of the block, with the place.
  """
  try:
    yield
  except DataError as error:
    text = str(error)
    if text.startswith(where):
      raise
    # Errors about the data set as a whole begin with the same word.
    start = f'{where.partition(":")[0]}: '
    raise DataError(f'{where}: {text.removeprefix(start)}') from error.__cause__
