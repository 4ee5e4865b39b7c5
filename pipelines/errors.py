"""The error of data, and how the errors of others become one line of it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

# What TensorFlow writes around the reason of an error.
_NOISE = re.compile(
    r'\{\{[^}]*\}\}|\[\[.*?\]\]|\[Op:[^\]]*\]( name: *\S*)?'
    r'|Error in user-defined function passed to .*?: (?=\S+: )'
    r'|Iterator::\S+ '
)


class DataError(ValueError):
  """A data set that cannot be had or used; the message is one line."""


def one_line(error: BaseException) -> str:
  r"""Returns an error's first line that says something, or its type.

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
  """Puts the place in front of the data errors of a block.

  Args:
    where: Such as the file that is read.

  Yields:
    Nothing.

  Raises:
    DataError: The block's, with the place.
  """
  try:
    yield
  except DataError as error:
    text = str(error)
    if text.startswith(where):
      raise
    # What is said of the set as a whole begins with the same word.
    start = f'{where.partition(":")[0]}: '
    raise DataError(f'{where}: {text.removeprefix(start)}') from error.__cause__
