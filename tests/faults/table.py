"""The table of what was done, and where it stands in the documentation."""

from __future__ import annotations

import collections
import pathlib
import statistics
from collections.abc import Sequence

from tests import written_tables
from tests.faults import processes, trial

DOCS = processes.ROOT / 'docs' / 'reliability.md'
_BEGIN = written_tables.mark('python -m tests.faults --write_docs')
_HEADER = (
    'fault',
    'what the program was at',
    'tries',
    'what the user saw',
    'exit codes',
    'seconds until it ended: median, longest',
    'bits lost',
)


def rows(outcomes: Sequence[trial.Outcome]) -> list[tuple[str, ...]]:
  """Returns the lines of the table, without its header.

  Args:
    outcomes: What trials came to. What one has lost counts in each line that
      it is in.
  """
  groups: dict[tuple[str, str], list[tuple[trial.Hurt, trial.Outcome]]] = {}
  for outcome in outcomes:
    for hurt in outcome.hurts:
      # Each range of bytes is a try; a line for each would be a page.
      phase = hurt.phase
      if 'ranges' in phase:
        phase = phase.partition(',')[0]
      groups.setdefault((hurt.fault, phase), []).append((hurt, outcome))
  found = []
  for (fault, phase), members in sorted(groups.items()):
    seconds = [hurt.seconds for hurt, _ in members]
    saw = collections.Counter(hurt.saw for hurt, _ in members)
    codes = collections.Counter(
        code for hurt, _ in members for code in hurt.codes
    )
    found.append((
        fault,
        phase,
        str(len(members)),
        saw.most_common(1)[0][0] or 'nothing',
        ', '.join(str(code) for code, _ in codes.most_common()),
        f'{statistics.median(seconds):.1f}, {max(seconds):.1f}',
        str(sum(outcome.bits for _, outcome in members)),
    ))
  return found


def text(outcomes: Sequence[trial.Outcome]) -> str:
  """Returns the table, and what went wrong."""
  lines = [markdown(outcomes), '', _sum(outcomes)]
  for outcome in outcomes:
    if outcome.problems:
      lines.append(
          f'trial {outcome.number}, {outcome.case}: '
          f'{"; ".join(outcome.problems)}'
      )
  return '\n'.join(lines)


def markdown(outcomes: Sequence[trial.Outcome]) -> str:
  """Returns the table as Markdown."""
  return written_tables.markdown(_HEADER, rows(outcomes))


def _sum(outcomes: Sequence[trial.Outcome]) -> str:
  tries = sum(len(each.hurts) for each in outcomes)
  names = {each.case for each in outcomes if each.hurts}
  wrong = sum(bool(each.problems) for each in outcomes)
  return (
      f'{tries} faults in {len(outcomes)} runs of {len(names)} kinds; '
      f'{sum(each.bits for each in outcomes)} bits lost; '
      f'{wrong} runs with something to complain of.'
  )


def write(outcomes: Sequence[trial.Outcome], path: pathlib.Path = DOCS) -> None:
  """Writes the table into the page, between its marks."""
  names = sorted({each.case for each in outcomes if each.hurts})
  written_tables.write(
      path,
      _BEGIN,
      f'{_sum(outcomes)} The runs: {", ".join(names)}. '
      f'{written_tables.machine()}\n\n{markdown(outcomes)}',
  )
