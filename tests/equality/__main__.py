"""Trains the same on one replica and on several, and measures what differs.

  python -m tests.equality --workdir=/tmp/equality
  python -m tests.equality --workdir=/tmp/equality --cases=mlp,text

Each run is one of `launch.train`, over several processes where there are
several workers. Its rows, its result and its weights are compared with those
of one replica; so are those of runs that were interrupted on one number of
replicas and went on on another. The exit code is 0 only if all counts are equal
and nothing differs by more than the table says it may. What is in the work
directory already is not run again, so that a second start goes on.
"""

from __future__ import annotations

import functools
import pathlib
import sys
from collections.abc import Mapping, Sequence

from absl import app, flags

from tests.equality import cases, measuring, running, table
from tests.faults import processes

_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'What is kept between starts. Default: nothing.'
)
_CASES = flags.DEFINE_list(
    'cases', list(cases.CASES), f'Of {", ".join(cases.CASES)}.'
)
_SHAPES = flags.DEFINE_list(
    'shapes',
    [shape.name for shape in cases.SHAPES],
    'Workers x replicas. A part of them has no table.',
)
_NUM_PARALLEL = flags.DEFINE_integer(
    'num_parallel', 2, 'How many runs are made at a time.', lower_bound=1
)
_WRITE_DOCS = flags.DEFINE_bool(
    'write_docs', False, 'Writes the table into docs/reliability.md.'
)


def _make(runs: Mapping[str, running.Runs], names: Sequence[str]) -> None:
  """Makes all runs of some shapes, first those that others go on from."""
  shapes = [shape for shape in cases.SHAPES if shape.name in names]
  begun, going_on = [], []
  for name, mine in runs.items():
    pairs = _pairs(cases.CASES[name], names)
    begun += [functools.partial(mine.whole, shape) for shape in shapes]
    begun += [
        functools.partial(mine.variant, variant)
        for variant in cases.CASES[name].variants
    ]
    begun += [
        functools.partial(mine.half, first)
        for first in dict.fromkeys(first for first, _ in pairs)
    ]
    going_on += [functools.partial(mine.continued, *pair) for pair in pairs]
  for stage in begun, going_on:
    running.make(stage, _NUM_PARALLEL.value)


def _measured(
    runs: running.Runs, case: cases.Case, names: Sequence[str]
) -> table.Row:
  """Measures the runs of a case."""
  one = runs.whole(cases.ONE)

  def gap(name: str, run: pathlib.Path) -> measuring.Gap:
    found = measuring.compare(one, run)
    print(
        f'{case.name}, {name}: {found.numbers:.1e} ({found.of_number}); '
        f'weights {found.weights:.1e} ({found.of_weights}); counts: '
        f'{"; ".join(found.counts) or "equal"}',
        flush=True,
    )
    return found

  return table.Row(
      case,
      {
          shape.name: gap(shape.name, runs.whole(shape))
          for shape in cases.SHAPES[1:]
          if shape.name in names
      },
      {
          name: gap(name, runs.continued(*pair))
          for pair in _pairs(case, names)
          for name in [f'{pair[0].name} to {pair[1].name}']
      },
      {name: gap(name, runs.variant(name)) for name in case.variants},
  )


def _pairs(
    case: cases.Case, names: Sequence[str]
) -> list[tuple[cases.Shape, cases.Shape]]:
  """Returns the pairs of a case that are of some shapes."""
  return [
      (first, then)
      for first, then in case.pairs
      if {first.name, then.name} <= {*names}
  ]


def main(argv: list[str]) -> int:
  """Runs the program; returns 1 if something differs that may not."""
  known = [shape.name for shape in cases.SHAPES]
  unknown = [
      *(name for name in _CASES.value if name not in cases.CASES),
      *(name for name in _SHAPES.value if name not in known),
  ]
  is_all = {*_CASES.value} == {*cases.CASES} and {*_SHAPES.value} == {*known}
  if argv[1:] or unknown or (_WRITE_DOCS.value and not is_all):
    print(
        f'tests.equality: unknown: {[*argv[1:], *unknown]}; --write_docs '
        'writes of all cases and shapes.',
        file=sys.stderr,
    )
    return 2
  try:
    with processes.campaign(_WORKDIR.value, 'equality-') as folder:
      runs = {
          name: running.Runs(folder, cases.CASES[name]) for name in _CASES.value
      }
      _make(runs, _SHAPES.value)
      rows = [
          _measured(mine, cases.CASES[name], _SHAPES.value)
          for name, mine in runs.items()
      ]
  except BlockingIOError:
    print(
        f'tests.equality: --workdir={_WORKDIR.value} is in use.',
        file=sys.stderr,
    )
    return 2
  except running.BrokenError as error:
    print(f'tests.equality: {error}', file=sys.stderr)
    return 1
  if {*_SHAPES.value} == {*known}:
    print(table.text(rows))
  found = table.problems(rows)
  print('\n'.join(found) or 'Nothing differs by more than it may.')
  if _WRITE_DOCS.value:
    table.write(rows)
  return int(bool(found))


if __name__ == '__main__':
  app.run(main)
