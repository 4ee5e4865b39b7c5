"""The table of what runs differ in, and what they may differ in."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from tests import written_tables
from tests.equality import cases, measuring
from tests.faults import processes

DOCS = processes.ROOT / 'docs' / 'reliability.md'
_BEGIN = written_tables.mark('python -m tests.equality --write_docs')
_OTHERS = cases.SHAPES[1:]
_HEADER = (
    'case',
    'what is in it',
    *(shape.name for shape in _OTHERS),
    'continued',
    'may be',
)
# Half the distance of two float16 is at most that share of them.
_ROUNDING_FLOAT16 = 2.0**-11


@dataclasses.dataclass(frozen=True)
class Row:
  """What was measured of a case, against its run on one replica.

  Attributes:
    case: The case.
    whole: The gap of each other shape, by its name.
    continued: The gaps of runs that went on elsewhere, by `FIRST to THEN`.
    variants: The gaps of the variants.
  """

  case: cases.Case
  whole: Mapping[str, measuring.Gap]
  continued: Mapping[str, measuring.Gap]
  variants: Mapping[str, measuring.Gap]


def bounds(case: cases.Case) -> tuple[float, float]:
  """Returns how far numbers and weights of a case may be apart.

  In float32 that is what we promise of numbers, and ten times as much for
  single weights. In float16 each step may round its loss, and each weight's
  gradient, once more than another order of sums does.
  """
  if case.is_half:
    bound = cases.NUM_STEPS * _ROUNDING_FLOAT16
    return bound, bound
  return 1e-5, 1e-4


def problems(rows: Sequence[Row]) -> list[str]:
  """Names what is further apart than it may be, and counts that differ."""
  found = []
  for row in rows:
    numbers, weights = bounds(row.case)
    for name, gap in {**row.whole, **row.continued}.items():
      where = f'{row.case.name}, {name}'
      if not gap.numbers <= numbers:
        found.append(
            f'{where}: {gap.of_number}: {gap.numbers:.1e}, beyond {numbers:.1e}'
        )
      if not gap.weights <= weights:
        found.append(
            f'{where}: {gap.of_weights}: {gap.weights:.1e}, beyond '
            f'{weights:.1e}'
        )
      found += [f'{where}: {each}' for each in gap.counts]
  return found


def markdown(rows: Sequence[Row]) -> str:
  """Returns the table as Markdown."""
  lines = []
  for row in rows:
    of_shapes = [row.whole[shape.name] for shape in _OTHERS]
    numbers, weights = bounds(row.case)
    lines.append((
        row.case.name,
        row.case.about,
        *map(_cell, of_shapes),
        f'{_largest(list(row.continued.values()))} ({len(row.continued)} runs)',
        f'{numbers:.1e}, {weights:.1e}',
    ))
  return written_tables.markdown(_HEADER, lines)


def text(rows: Sequence[Row]) -> str:
  """Returns the table with what it is about."""
  pairs = {name for row in rows for name in row.continued}
  gaps = [
      gap
      for row in rows
      for gap in (*row.whole.values(), *row.continued.values())
  ]
  differing = sum(bool(gap.counts) for gap in gaps)
  lines = [
      (
          f'{len(gaps)} runs of {cases.NUM_STEPS} steps, {len(pairs)} pairs of '
          f'shapes among them. Counts differ in {differing} of them. '
          f'{written_tables.machine()}'
      ),
      '',
      markdown(rows),
  ]
  of_variants = [
      (f'{row.case.name}, {name}', f'{gap.numbers:.1e}', f'{gap.weights:.1e}')
      for row in rows
      for name, gap in row.variants.items()
  ]
  if of_variants:
    lines += [
        '',
        written_tables.markdown(
            ('on one replica', 'rows and results', 'weights'), of_variants
        ),
    ]
  return '\n'.join(lines)


def write(rows: Sequence[Row], path: pathlib.Path = DOCS) -> None:
  """Writes the table into the page, between its marks."""
  written_tables.write(path, _BEGIN, text(rows))


def _cell(gap: measuring.Gap) -> str:
  return f'{gap.numbers:.1e}, {gap.weights:.1e}'


def _largest(gaps: Sequence[measuring.Gap]) -> str:
  return (
      f'{max(gap.numbers for gap in gaps):.1e}, '
      f'{max(gap.weights for gap in gaps):.1e}'
  )
