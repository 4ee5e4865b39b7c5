"""Options, each declared once as a field of a dataclass.

A field made by `option` has a type, a default, a help text and bounds. They
define its flag, the check of values given in Python, and the values accepted
from JSON files.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core import deprecation

from . import typed_json

Arguments = dict[str, Any]
"""Arguments of a part, by name."""
Factors = dict[str, float]
"""Factors by regular expression."""
Names = dict[str, str]
"""New names by old names, of variables or of parts of a model."""
Part = str | Callable[..., Any]
"""A part of a run: its name, or in Python also the object."""

KINDS = ('identity', 'free', 'length', 'place', 'start')


@dataclasses.dataclass(frozen=True)
class Option:
  """The declaration of an option, except its type; see `option`."""

  help: str
  kind: str
  low: float | None
  high: float | None
  choices: tuple[str, ...]
  names: tuple[str, ...]
  path: str
  is_pattern: bool
  was: str


def option(
    default: Any,
    help: str,
    *,
    kind: str = 'identity',
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    names: Sequence[str] = (),
    path: str = '',
    is_pattern: bool = False,
    was: str = '',
) -> Any:
  """Declares an option.

  Args:
    default: The default value.
    help: A description in a sentence or two.
    kind: `identity` if it affects any bit of the weights, so that a resumed run
      must not change it; `free` if it may change; `length` if it may change
      unless a schedule spans the run; `place` for the location of a run, which
      is stored separately; `start` if it applies to one start and is not
      stored.
    low: The minimum of a number, or of each of several.
    high: The maximum.
    choices: The allowed strings.
    names: The names of several numbers, if their count is fixed.
    path: For a path: `local`; `remote` if `gs://...` and `s3://...` are allowed
      as well; `empty` if an empty path is meaningful.
    is_pattern: Whether it is a regular expression.
    was: Its former name, which still works in this release.

  Returns:
    A field of a dataclass.

  Example:
    >>> import dataclasses
    >>> from launch.settings import options
    >>> @dataclasses.dataclass(frozen=True)
    ... class Mine(options.Options):
    ...   rate: float = options.option(0.1, 'How fast.', low=0, high=1)
    >>> Mine(rate=2.0)
    Traceback (most recent call last):
      ...
    ValueError: rate: expected a number from 0 to 1, got 2.0.
  """
  spec = Option(
      help,
      kind,
      low,
      high,
      tuple(choices),
      tuple(names),
      path,
      is_pattern,
      was,
  )
  metadata = {'option': spec}
  if isinstance(default, dict):
    return dataclasses.field(
        default_factory=lambda: dict(default), metadata=metadata
    )
  return dataclasses.field(default=default, metadata=metadata)


def declared(cls: Any) -> dict[str, Option]:
  """Returns the declarations of the options of a class, by name."""
  return {
      field.name: field.metadata['option'] for field in dataclasses.fields(cls)
  }


def former(cls: Any) -> dict[str, str]:
  """Returns the current names of options by former name."""
  return {spec.was: name for name, spec in declared(cls).items() if spec.was}


def renamed(cls: Any, values: Mapping[str, Any]) -> dict[str, Any]:
  """Returns values by the current names of the options."""
  now = former(cls)
  result: dict[str, Any] = {}
  for name, value in values.items():
    if name in now or name not in result:
      result[now.get(name, name)] = value
  return result


def takes_former_names(cls: Any) -> Any:
  """Decorates a dataclass of options so that it accepts former names too.

  They warn. `dataclasses.replace` passes both names; the former one wins.
  """
  init = cls.__init__

  @functools.wraps(init)
  def with_former(self: Any, **values: Any) -> None:
    for name in former(cls).keys() & values.keys():
      deprecation.warn(f'{cls.__name__}.{name}', former(cls)[name])
    init(self, **renamed(cls, values))

  cls.__init__ = with_former
  return cls


@dataclasses.dataclass(frozen=True)
class Options:
  """The base of a dataclass whose fields are options.

  Lists are converted to tuples. Invalid values raise a ValueError that names
  the field.
  """

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      ValueError: If a value has the wrong type or is out of bounds.
    """
    hints = typing.get_type_hints(type(self))
    for name, spec in declared(self).items():
      value = typed_json.tuples(_several(getattr(self, name), hints[name]))
      object.__setattr__(self, name, value)
      if not typed_json.fits(value, hints[name]) or not _is_within(value, spec):
        raise ValueError(
            f'{name}: expected {_expected(hints[name], spec)}, got {value!r}.'
        )

  def __getattr__(self, name: str) -> Any:
    """Returns the value of an option by its former name, with a warning."""
    now = former(type(self)).get(name)
    if now is None:
      raise AttributeError(f'{type(self).__name__} has no option {name!r}')
    deprecation.warn(f'{type(self).__name__}.{name}', now)
    return getattr(self, now)

  def of_kind(self, *kinds: str) -> dict[str, Any]:
    """Returns the values of options of these kinds, in JSON form."""
    return {
        name: typed_json.lists(getattr(self, name))
        for name, spec in declared(self).items()
        if spec.kind in kinds
    }


def _several(value: Any, hint: Any) -> Any:
  """Returns a tuple of parts, from one part or comma-separated names."""
  if hint == tuple[Part, ...]:
    if isinstance(value, str):  # The form of flags.
      return tuple(filter(None, map(str.strip, value.split(','))))
    if callable(value):
      return (value,)
  return value


def plain(hint: Any) -> tuple[Any, tuple[str, ...]]:
  """Splits a type.

  Args:
    hint: The type of a field.

  Returns:
    The type of its flag, and the words that it also accepts.
  """
  if typing.get_origin(hint) not in (typing.Union, types.UnionType):
    return hint, ()
  words: tuple[str, ...] = ()
  plain = None
  for each in typing.get_args(hint):
    if typing.get_origin(each) is typing.Literal:
      words += typing.get_args(each)
    elif each is not types.NoneType and plain is None:
      plain = each
  return plain, words


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the options that have a value, as `model_arg.width` arguments."""
  found: dict[str, Any] = {}
  for name, value in values.items():
    if isinstance(value, Mapping):
      found |= {f'{name}.{key}': each for key, each in value.items()}
    else:
      found[name] = value
  return {name: each for name, each in found.items() if each not in (None, [])}


def _is_within(value: Any, spec: Option) -> bool:
  """Returns whether a value of the right type is within its bounds."""
  if value is None:
    return True
  if spec.choices and value not in spec.choices:
    return False
  patterns = [value] if spec.is_pattern else []
  if isinstance(value, dict):
    patterns = list(value) if spec.is_pattern else []
    items = tuple(value.values())
  else:
    items = value if isinstance(value, tuple) else (value,)
  if spec.low is not None and spec.high is not None:
    numbers = [i for i in items if isinstance(i, (int, float))]
    if not all(spec.low <= number <= spec.high for number in numbers):
      return False
  return all(map(_is_pattern, patterns))


def _is_pattern(text: str) -> bool:
  try:
    re.compile(text)
  except (re.error, RecursionError, OverflowError):
    return False
  return True


def _expected(hint: Any, spec: Option) -> str:
  """Describes the values that an option accepts."""
  kind, words = plain(hint)
  origin, args = typing.get_origin(kind), typing.get_args(kind)
  if spec.choices:
    what = f'one of {", ".join(spec.choices)}'
  elif spec.names:
    what = f'{",".join(spec.names)}'
  elif origin is tuple:
    numbers = {float: 'numbers', int: 'integers'}
    what = numbers.get(args[0], 'names, or functions')
  elif any(
      typing.get_origin(each) is collections.abc.Callable
      for each in typing.get_args(hint)
  ):
    what = 'a name, or a function that makes one'
  else:
    what = {
        bool: 'True or False',
        int: 'an integer',
        float: 'a number',
        str: 'a regular expression' if spec.is_pattern else 'a string',
    }.get(kind, 'a mapping of names')
  if spec.is_pattern and origin is dict:
    what = 'factors by regular expressions'
  if spec.low is not None:
    what += f' from {spec.low:.12g} to {spec.high:.12g}'
  if words:
    what += f' or {" or ".join(words)}'
  return what + (' or None' if type(None) in typing.get_args(hint) else '')
