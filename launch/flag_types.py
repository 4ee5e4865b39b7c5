"""Flags whose values are checked, and put in order, where they are defined."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any

from absl import flags

flags.disclaim_key_flags()  # A flag belongs to the program that calls these.

_ADDRESS = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')
# Where TFDS reads prepared sets as well.
_REMOTE = ('gs://', 's3://')
# What Linux and macOS allow.
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 4_000


def check_path(path: str) -> str:
  """Checks that a path can be one of this machine; whether it is, is not asked.

  Args:
    path: What the user gave.

  Returns:
    The path, with the home folder for `~`.

  Raises:
    ValueError: If there is no such user, a name is too long, or the path is
      empty or that of a remote system.
  """
  if not path.strip():
    raise ValueError('expected a path, got an empty one.')
  if _ADDRESS.match(path):
    raise ValueError(
        'only folders of the file system are supported; mount it, and give the '
        'path there.'
    )
  expanded = os.path.expanduser(path)
  if expanded.startswith('~'):
    user = expanded.partition('/')[0]
    raise ValueError(f'there is no home folder of {user}.')
  names = [len(os.fsencode(name)) for name in expanded.split('/')]
  if max(names) > _MAX_NAME_BYTES:
    raise ValueError(
        f'a name of {max(names)} bytes; {_MAX_NAME_BYTES} are allowed.'
    )
  if len(os.fsencode(expanded)) > _MAX_PATH_BYTES:
    raise ValueError(f'a path of more than {_MAX_PATH_BYTES:,} bytes.')
  return expanded


class _PathParser(flags.ArgumentParser[str]):
  """Parses a path."""

  syntactic_help = 'a path'

  def __init__(self, may_be_empty: bool, may_be_remote: bool):
    """Parses paths, and what else may be given."""
    self._may_be_empty = may_be_empty
    self._may_be_remote = may_be_remote

  def parse(self, argument: str) -> str:
    """Returns the path, see `check_path`."""
    if self._may_be_empty and not argument:
      return argument
    if self._may_be_remote and argument.startswith(_REMOTE):
      return argument
    return check_path(argument)

  def flag_type(self) -> str:
    """Names the type."""
    return 'path'


class _NumbersParser(flags.ArgumentParser[str]):
  """Parses numbers with commas between them."""

  def __init__(
      self,
      kind: type,
      low: float,
      high: float,
      names: Sequence[str],
      words: Sequence[str],
  ):
    """Parses words, or numbers in a range, as many as there are names."""
    self._kind = kind
    self._low = low
    self._high = high
    self._names = names
    self._words = words
    self.syntactic_help = ','.join(names) or 'numbers with commas between them'

  def parse(self, argument: str | Sequence[Any]) -> Any:
    """Returns the numbers, or the word."""
    if argument in self._words:
      return argument
    given = argument.split(',') if isinstance(argument, str) else argument
    try:
      numbers = tuple(self._kind(each) for each in given)
    except ValueError:
      raise ValueError('expected numbers with commas between them.') from None
    if self._names and (
        len(numbers) != len(self._names) or min(numbers) < self._low
    ):
      raise ValueError(f'expected {",".join(self._names)}.')
    if not all(self._low <= number <= self._high for number in numbers):
      raise ValueError(
          f'expected numbers from {self._low:g} on, up to {self._high:g}.'
      )
    return numbers

  def flag_type(self) -> str:
    """Names the type."""
    return 'numbers'


class _Serializer(flags.ArgumentSerializer[str]):
  """Writes numbers as they are given."""

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
  """Defines a flag of a path; without the flag it is None.

  Args:
    name: The name.
    help: What it is.
    may_be_empty: Whether an empty value means something.
    may_be_remote: Whether `gs://...` and `s3://...` are read as well.

  Returns:
    Its holder; the value is a path with the home folder for `~`.
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
  """Defines a flag of numbers with commas; without the flag it is None.

  Args:
    name: The name.
    help: What it is.
    kind: int or float.
    low: The minimum of each.
    high: The maximum of each.
    names: What each is, where their number is fixed.
    words: What may be given instead of numbers.

  Returns:
    Its holder; the value is a tuple, or one of the words.
  """
  parser = _NumbersParser(kind, low, high, names, words)
  return flags.DEFINE(parser, name, None, help, serializer=_Serializer())


def check_finite() -> None:
  """Checks all flags that are numbers: no bound keeps NaN away.

  Raises:
    flags.IllegalFlagValueError: If one is not finite.
  """
  for name in flags.FLAGS:
    value = flags.FLAGS[name].value
    if isinstance(value, float) and not math.isfinite(value):
      raise flags.IllegalFlagValueError(
          f'flag --{name}={value}: expected a finite number.'
      )
