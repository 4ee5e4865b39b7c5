"""What two nests of values do not have in common, leaf by leaf."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

# Values of rows and results that depend on the clock or on the process.
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
  """Something that two runs do not have in common.

  Attributes:
    about: What kind of thing it is.
    name: What it is called.
    values: What each of the two has.
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
  """Yields the values of two nests that differ, leaf by leaf.

  Args:
    about: What kind of thing they are.
    one: A nest of values by name.
    other: The other one.
    only_common: Whether names that one of them lacks are left out.

  Yields:
    What differs, except for what depends on the clock or on the process.
  """
  flat, others = dict(_leaves(one)), dict(_leaves(other))
  for name in {**flat, **others}:
    if only_common and not (name in flat and name in others):
      continue
    pair = flat.get(name), others.get(name)
    if pair[0] != pair[1] and not all(each != each for each in pair):  # NaN
      yield Difference(about, name, pair)


def describe(changes: Mapping[str, Any], verb: str = ':') -> str:
  """Describes changes, as `--name: this, not what was before`."""
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
