"""Finds examples that occur several times in a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines import spec as spec_lib

from ..reporting import page, pictures

_MOST_SHOWN = 20
_MOST_PLACES = 8

Arrays = Mapping[str, np.ndarray]
Group = list[tuple[str, int]]
"""The split and the index of each example with the same inputs."""


def find(spec: spec_lib.Spec, arrays: Mapping[str, Arrays]) -> list[Group]:
  """Finds examples with bitwise equal inputs, whatever their labels.

  Returns:
    Groups of two or more examples; those across splits come first.
  """
  groups: dict[bytes, Group] = {}
  for split, each in arrays.items():
    inputs = [each[name] for name in sorted(spec.inputs)]
    for index in range(len(inputs[0])):
      digest = hashlib.blake2b(digest_size=16)
      for values in inputs:
        digest.update(values[index].tobytes())
      groups.setdefault(digest.digest(), []).append((split, index))
  found = [group for group in groups.values() if len(group) > 1]
  return sorted(found, key=lambda group: not _is_across(group))


def describe(groups: Sequence[Group]) -> str:
  """Describes the number of groups."""
  across = sum(map(_is_across, groups))
  return (
      f'inputs that occur more than once: {len(groups):,}, of which in several '
      f'splits: {across:,}'
  )


def show(
    spec: spec_lib.Spec,
    arrays: Mapping[str, Arrays],
    groups: Sequence[Group],
    left_out: Sequence[str],
) -> str:
  """Lists the groups as HTML, with their labels.

  Args:
    spec: The features.
    arrays: All examples of each split.
    groups: The groups that `find` returned.
    left_out: The splits that were not searched.
  """
  found = ''
  if arrays:
    more = len(groups) - _MOST_SHOWN
    rest = f'; {more:,} are not listed' if more > 0 else ''
    text = describe(groups)
    found += page.paragraphs(f'{text[0].upper()}{text[1:]}{rest}.')
  if left_out:
    found += page.hint(
        f'{", ".join(left_out)}: not searched, as not all of it is in memory.'
    )
  if not groups:
    return found
  images = list(spec.of_kind(spec_lib.IMAGE))[:1]
  rows = []
  for group in groups[:_MOST_SHOWN]:
    where = ', '.join(f'{s} {i}' for s, i in group[:_MOST_PLACES])
    if len(group) > _MOST_PLACES:
      where += f' and {len(group) - _MOST_PLACES} more'
    split, index = group[0]
    shown = [
        page.Markup(
            '<img class="small" alt="" src="'
            f'{pictures.uri(pictures.pixels(arrays[split][name][index]))}">'
        )
        for name in images
    ]
    rows.append([where, *shown, _labels(spec, arrays, group)])
  headers = ['where', *('image' for _ in images), 'label']
  return found + page.table(headers, rows)


def _is_across(group: Group) -> bool:
  return len({split for split, _ in group}) > 1


def _labels(
    spec: spec_lib.Spec, arrays: Mapping[str, Arrays], group: Group
) -> str:
  """Returns the different labels of a group."""
  if spec_lib.LABEL not in spec:
    return ''
  target = spec[spec_lib.LABEL]
  labels = [arrays[split][spec_lib.LABEL][index] for split, index in group]
  if target.kind == spec_lib.MASK:
    are_equal = all(np.array_equal(labels[0], each) for each in labels[1:])
    return 'the same mask' if are_equal else 'different masks'
  different = (pictures.text(each, target) or 'none' for each in labels)
  return ' or '.join(dict.fromkeys(different))
