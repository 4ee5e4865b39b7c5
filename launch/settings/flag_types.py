"""Flags that check and parse their values: paths and lists of numbers."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any

from absl import flags

flags.disclaim_key_flags()  # Flags belong to the program that defines them.

# What absl says of a value, and what we say.
_PLAIN = (
    (r'invalid literal for int\(\) with base .*', 'expected an integer.'),
    (r'could not convert string to float: .*', 'expected a number.'),
    (r'\S+ is not (an? .*)', r'expected \1.'),
    (r'.*Non-boolean argument to boolean flag.*', 'expected true or false.'),
)
_RANGE = re.compile(r'in the range \[(.*), (.*)\]')
_ADDRESS = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')
# TFDS also reads prepared data sets from these.
_REMOTE = ('gs://', 's3://')
# The limits of Linux and macOS.
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 4_000


def check_path(path: str) -> str:
  """Checks that a path is valid on this machine; it need not exist.

  Args:
    path: The path.

  Returns:
    The path, with the home folder for `~`.

  Raises:
    ValueError: If the path is empty, too long, or on a remote system, or if
      `~USER` names an unknown user.
  """
  if not path.strip():
    raise ValueError('expected a path, got an empty one.')
  if _ADDRESS.match(path):
    raise ValueError(
        'only paths of the local file system are supported; mount the remote '
        'folder and give its local path.'
    )
  expanded = os.path.expanduser(path)
  if expanded.startswith('~'):
    user = expanded.partition('/')[0]
    raise ValueError(f'there is no home folder of {user}.')
  names = [len(os.fsencode(name)) for name in expanded.split('/')]
  if max(names) > _MAX_NAME_BYTES:
    raise ValueError(
        f'a name has {max(names)} bytes; at most {_MAX_NAME_BYTES} are allowed.'
    )
  if len(os.fsencode(expanded)) > _MAX_PATH_BYTES:
    raise ValueError(f'the path has more than {_MAX_PATH_BYTES:,} bytes.')
  return expanded


class _PathParser(flags.ArgumentParser[str]):
  """Parses a path."""

  syntactic_help = 'a path'

  def __init__(self, may_be_empty: bool, may_be_remote: bool):
    """Sets whether empty and remote values are allowed."""
    self._may_be_empty = may_be_empty
    self._may_be_remote = may_be_remote

  def parse(self, argument: str) -> str:
    """Returns the path; see `check_path`."""
    if self._may_be_empty and not argument:
      return argument
    if self._may_be_remote and argument.startswith(_REMOTE):
      return argument
    return check_path(argument)

  def flag_type(self) -> str:
    """Names the type."""
    return 'path'


class _NumbersParser(flags.ArgumentParser[str]):
  """Parses numbers separated by commas."""

  def __init__(
      self,
      kind: type,
      low: float,
      high: float,
      names: Sequence[str],
      words: Sequence[str],
  ):
    """See `DEFINE_numbers`."""
    self._kind = kind
    self._low = low
    self._high = high
    self._names = names
    self._words = words
    self.syntactic_help = ','.join(names) or 'numbers separated by commas'

  def parse(self, argument: str | Sequence[Any]) -> Any:
    """Returns the numbers, or the word."""
    if argument in self._words:
      return argument
    given = argument.split(',') if isinstance(argument, str) else argument
    try:
      numbers = tuple(self._kind(each) for each in given)
    except ValueError:
      raise ValueError('expected numbers separated by commas.') from None
    if self._names and (
        len(numbers) != len(self._names) or min(numbers) < self._low
    ):
      raise ValueError(f'expected {",".join(self._names)}.')
    if not all(self._low <= number <= self._high for number in numbers):
      raise ValueError(
          f'expected numbers from {self._low:g} to {self._high:g}.'
      )
    return numbers

  def flag_type(self) -> str:
    """Names the type."""
    return 'numbers'


class _Serializer(flags.ArgumentSerializer[str]):
  """Formats values as they are given on the command line."""

  def serialize(self, value: str | Sequence[float]) -> str:
    """Returns the text."""
    if isinstance(value, str):
      return value
    return ','.join(map(str, value))


def DEFINE_path(  # pylint: disable=invalid-name
    name: str,
    help: str,
    *,
    may_be_empty: bool = False,
    may_be_remote: bool = False,
) -> flags.FlagHolder[Any]:
  """Defines a flag for a path.

  Args:
    name: The name of the flag.
    help: The help text.
    may_be_empty: Whether an empty value is allowed.
    may_be_remote: Whether `gs://...` and `s3://...` are allowed.

  Returns:
    The flag. Its value has the home folder for `~`. Default: None.
  """
  parser = _PathParser(may_be_empty, may_be_remote)
  return flags.DEFINE(parser, name, None, help)


def DEFINE_numbers(  # pylint: disable=invalid-name
    name: str,
    help: str,
    *,
    kind: type = float,
    low: float,
    high: float,
    names: Sequence[str] = (),
    words: Sequence[str] = (),
) -> flags.FlagHolder[Any]:
  """Defines a flag for numbers separated by commas.

  Args:
    name: The name of the flag.
    help: The help text.
    kind: int or float.
    low: The minimum of each number.
    high: The maximum of each number.
    names: The meaning of each number, if their count is fixed.
    words: Words that are allowed instead of numbers.

  Returns:
    The flag. Its value is a tuple, or one of the words. Default: None.
  """
  parser = _NumbersParser(kind, low, high, names, words)
  return flags.DEFINE(parser, name, None, help, serializer=_Serializer())


def plain(message: str) -> str:
  """Rewords absl's message about the value of a flag."""
  start, colon, reason = message.partition(': ')
  for pattern, text in _PLAIN:
    reason = re.sub(f'^{pattern}$', text, reason)
  if bounds := _RANGE.search(reason):
    low, high = (f'{float(each):,.12g}' for each in bounds.groups())
    reason = _RANGE.sub(f'from {low} to {high}', reason)
  return start + colon + reason


def check_finite() -> None:
  """Checks that all numeric flags are finite; absl's bounds let NaN pass.

  Raises:
    flags.IllegalFlagValueError: If one is not finite.
  """
  for name in flags.FLAGS:
    value = flags.FLAGS[name].value
    if isinstance(value, float) and not math.isfinite(value):
      raise flags.IllegalFlagValueError(
          f'flag --{name}={value}: expected a finite number.'
      )
