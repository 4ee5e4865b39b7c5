"""Compares two nested mappings leaf by leaf."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

# Values of rows and results that depend on the time or on the process.
_NOT_COMPUTED = frozenset({
    'wall_time',
    'seconds',
    'train_seconds',
    'examples_per_second',
    'images_per_second',
    'num_compilations',
    'num_train_step_traces',
    'compiled',
    'shapes',
    'seconds_in',
    'machine',
})


@dataclasses.dataclass(frozen=True)
class Difference:
  """A difference between two runs.

  Attributes:
    about: What kind of value differs.
    name: The name of the value.
    values: The two values.
  """

  about: str
  name: str
  values: tuple[Any, Any]


def of(
    about: str,
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    *,
    only_common: bool = False,
) -> Iterator[Difference]:
  """Yields the leaves of two nested mappings that differ.

  Args:
    about: What kind of values they are.
    one: A nested mapping.
    other: The other nested mapping.
    only_common: Whether to skip names that one of them lacks.

  Yields:
    The differences, except values that depend on the time or on the process.
  """
  flat, others = dict(_leaves(one)), dict(_leaves(other))
  for name in {**flat, **others}:
    if only_common and not (name in flat and name in others):
      continue
    pair = flat.get(name), others.get(name)
    if pair[0] != pair[1] and not all(each != each for each in pair):  # NaN
      yield Difference(about, name, pair)


def describe(changes: Mapping[str, Any], verb: str = ':') -> str:
  """Describes changes, as `--name: now, not before`."""
  return '; '.join(
      f'{name}{verb} {now}, not {before}'
      for name, (before, now) in changes.items()
  )


def _leaves(
    values: Mapping[str, Any], prefix: str = ''
) -> Iterator[tuple[str, Any]]:
  for name, value in values.items():
    if name in _NOT_COMPUTED:
      continue
    if isinstance(value, Mapping):
      yield from _leaves(value, f'{prefix}{name}.')
    else:
      yield f'{prefix}{name}', value
