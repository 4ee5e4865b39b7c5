"""Expands flag files, and drops arguments of replaced values, before absl.

In absl the last value of a flag counts, but repeated flags accumulate: a
recipe's `--optimizer_arg` would apply to any optimizer named after it. This
module drops such arguments together with the value that they belong to.
"""

from __future__ import annotations

import os
import pathlib
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from absl import flags

_MAX_FILE_BYTES = 2**20
_MAX_TOKENS = 10_000
_RECIPES = 'launch/recipes/'
# The current names of flags by former name.
FORMER: dict[str, str] = {}


class Mistake(flags.Error):
  """A command line that cannot be read."""


class Token(NamedTuple):
  """A flag as it was given.

  Attributes:
    text: The argument for absl, such as `--seed=1`.
    name: The name of the flag; empty for positional arguments.
    value: The value.
    source: The flag file that contains it; empty for the command line.
    place: A number that identifies one reading of one file.
  """

  text: str
  name: str
  value: str
  source: str
  place: int


def tokens(arguments: Sequence[str]) -> list[Token]:
  """Splits a command line into flags, and expands flag files in place.

  Args:
    arguments: The command line, without the program. Flag files have absl's
      format: one flag per line; `#` and `//` begin comments.

  Returns:
    The flags in order.

  Raises:
    Mistake: If a flag file is unreadable or includes itself, or an argument is
      not printable text.
  """
  reader = _Reader()
  return list(reader.split(arguments, '', ()))


def _is_text(value: str) -> bool:
  """Returns whether a value consists of printable text on one line."""
  # Control characters, bytes that are not UTF-8, ends of lines and paragraphs.
  categories = {unicodedata.category(character) for character in value}
  return categories.isdisjoint({'Cc', 'Cs', 'Zl', 'Zp'})


class _Reader:
  """Reads a command line and the flag files that it names."""

  def __init__(self) -> None:
    self._num_files = 0
    self._num_tokens = 0

  def split(
      self, arguments: Iterable[str], source: str, including: tuple[str, ...]
  ) -> Iterator[Token]:
    """Yields the flags of one command line or file."""
    place = self._num_files
    rest = iter(arguments)
    for argument in rest:
      where = f'{source}: ' if source else ''
      if not _is_text(argument):
        shown = ascii(argument[:60])
        raise Mistake(
            f'{where}{shown}: expected printable text in UTF-8, on one line.'
        )
      self._num_tokens += 1
      if self._num_tokens > _MAX_TOKENS:
        raise Mistake(f'{where}more than {_MAX_TOKENS:,} flags.')
      name, equals, value = argument.lstrip('-').partition('=')
      if not argument.startswith('-') or not name:
        yield Token(argument, '', argument, source, place)
        continue
      if name in FORMER and name not in flags.FLAGS:
        name = FORMER[name]
        argument = f'--{name}{equals}{value}'
      if not equals and _takes_value(name):
        following = next(rest, None)
        if following is None:
          raise Mistake(f'{where}--{name} needs a value.')
        if not _is_text(following):
          raise Mistake(
              f'{where}--{name}: expected printable text in UTF-8, on one line.'
          )
        value, argument = following, f'--{name}={following}'
      if name == 'flagfile':
        yield from self._read(value, including)
      else:
        yield Token(argument, name, value, source, place)

  def _read(self, path: str, including: tuple[str, ...]) -> Iterator[Token]:
    if not path:
      return  # Scripts may leave it empty, as with absl.
    real = os.path.realpath(os.path.expanduser(path))
    if real in including:
      raise Mistake(f'--flagfile={path} includes itself.')
    self._num_files += 1
    lines = [line.strip() for line in _text(path).split('\n')]
    given = [s for s in lines if s and not s.startswith(('#', '//'))]
    yield from self.split(given, path, (*including, real))


def _text(path: str) -> str:
  """Reads a flag file."""
  try:
    with open(_located(path), 'rb') as file:
      if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
        raise Mistake(f'--flagfile={path}: not a file.')
      content = file.read(_MAX_FILE_BYTES + 1)
  except (OSError, ValueError) as error:
    reason = getattr(error, 'strerror', None) or error
    raise Mistake(f'--flagfile={path}: {reason}.') from None
  if len(content) > _MAX_FILE_BYTES:
    raise Mistake(f'--flagfile={path}: too long to be a file of flags.')
  try:
    return content.decode('utf-8-sig')
  except UnicodeDecodeError:
    raise Mistake(
        f'--flagfile={path}: expected text in UTF-8, one flag per line.'
    ) from None


def _located(path: str) -> str:
  """Returns the path of a flag file; our recipes are found from any folder."""
  if path.startswith(_RECIPES) and not os.path.exists(path):
    return str(pathlib.Path(__file__).parents[2] / path)
  return os.path.expanduser(path)


def _takes_value(name: str) -> bool:
  if name in ('flagfile', 'undefok'):
    return True
  return name in flags.FLAGS and not flags.FLAGS[name].boolean


class Replaced(NamedTuple):
  """A value that a later one replaced.

  Attributes:
    kind: The name of the flag.
    before: The earlier value, or the default.
    after: The value that replaced it.
    dropped: The arguments of the earlier value.
    in_file: Whether the earlier value or its arguments came from a flag file.
  """

  kind: str
  before: str
  after: str
  dropped: list[Token]
  in_file: bool


def kinds() -> dict[str, str]:
  """Returns the flags whose values take arguments, and their `_arg` flags."""
  named = [name for name in flags.FLAGS if name.endswith('_arg')]
  return {
      owner: name
      for name in named
      for owner in (name.removesuffix('_arg'), f'{name.removesuffix("_arg")}s')
      if owner in flags.FLAGS
  }


def drop_replaced(
    given: Sequence[Token], defaults: Mapping[str, str | None]
) -> tuple[list[Token], list[Replaced]]:
  """Drops the arguments of models, losses and so on that were replaced.

  An argument belongs to the last value named before it. If there is none, it
  belongs to the default if it is in a flag file that ends before a value is
  named, else to the next value, since `--model_arg` may precede `--model`.

  Args:
    given: The flags.
    defaults: The default of each flag in `kinds`, or None.

  Returns:
    The remaining flags, and the replaced values.
  """
  kept: list[Token] = []
  replaced: list[Replaced] = []
  named: dict[str, Token] = {}
  for token in given:
    kind, former = token.name, named.get(token.name)
    before = former.value if former else defaults.get(kind, token.value)
    if kind in defaults and token.value != before:
      dropped = [
          one
          for one in kept
          if _belongs(one, token) and (former or one.place != token.place)
      ]
      kept = [one for one in kept if not any(one is d for d in dropped)]
      sources = [one.source for one in (*dropped, former) if one]
      replaced.append(
          Replaced(
              kind, before or 'the default', token.value, dropped, any(sources)
          )
      )
    kept.append(token)
    named[kind] = token
  return kept, replaced


def _belongs(token: Token, owner: Token) -> bool:
  """Returns whether a flag is an argument of what `owner` replaces."""
  kind = owner.name
  if token.name == f'{kind}_arg':
    return True
  if token.name == f'{kind.removesuffix("s")}_arg':  # NAME.ARGUMENT=VALUE
    named = [part.rpartition(':')[2] for part in owner.value.split(',')]
    return token.value.partition('.')[0] not in named
  # Not every loss has it. On the command line it is meant for the new loss.
  is_smoothing = token.name == 'label_smoothing' and kind == 'loss'
  return is_smoothing and bool(token.source)


def describe(kept: Sequence[Token], replaced: Sequence[Replaced]) -> str | None:
  """Describes which flags were dropped, and which of a flag file still apply.

  Returns:
    One line, or None if nothing was replaced.
  """
  told = [one for one in replaced if one.dropped or one.in_file]
  parts = []
  for one in told:
    names = ' '.join(token.text for token in one.dropped)
    parts.append(
        f'--{one.kind}={one.after} replaces {one.before}'
        + (f' and drops {names}' if names else '')
    )
  files = dict.fromkeys(token.source for token in kept if token.source)
  if files and any(one.in_file for one in told):
    in_force = ' '.join(token.text for token in _in_force(kept))
    parts.append(f'still in force from {", ".join(files)}: {in_force}')
  return '; '.join(parts) or None


def _in_force(kept: Sequence[Token]) -> Iterator[Token]:
  """Yields the flags of flag files that no later flag replaces."""
  last = {_subject(token): token for token in kept}
  for token in kept:
    if token.source and last[_subject(token)] is token:
      yield token


def _subject(token: Token) -> tuple[str, str]:
  """Returns a key: of flags with equal keys only the last applies."""
  name = token.name
  if name.startswith('no') and name not in flags.FLAGS:
    name = name[2:]  # --nonormalize
  argument = token.value.partition('=')[0].strip()
  return name, argument if name.endswith('_arg') else ''
