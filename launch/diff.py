"""Compares two runs, and finds the first step at which they differ.

  python -m launch.diff runs/first runs/again

Prints the differences in flags, code, packages, data and history, and the first
row of metrics.jsonl, or hash of the weights, that differs. Exits with 0 if all
computed values are bitwise equal, else with 1.
"""

from __future__ import annotations

import json
from typing import Any

from . import programs, workdir
from .comparing import differences
from .comparing import runs as comparing

# Whether the program takes arguments besides flags.
POSITIONAL = True
# The maximum width of a value, and the maximum number of listed values.
_WIDTH = 40
_MOST = 12


def main() -> int:
  """Runs the program; returns its exit code."""
  given = programs.positional()
  if len(given) != 2:
    raise programs.UserError(
        f'expected the work directories of two runs, got {len(given)}; for '
        'example launch.diff runs/first runs/again.'
    )
  one, other = (workdir.of_run(path, '') for path in given)
  comparison = comparing.compare(one, other)
  print(table(comparison, str(one.path), str(other.path)))
  return 0 if comparison.is_equal else 1


def table(comparison: comparing.Comparison, one: str, other: str) -> str:
  """Returns a table of the differences, and the line of `verdict`."""
  import tabulate  # Not needed for the comparison alone.

  rows = [_row(each) for each in comparison.settings]
  rows += [_row(each) for each in comparison.computed[:_MOST]]
  left = len(comparison.computed) - _MOST
  text = ''
  if rows:
    text = (
        tabulate.tabulate(
            rows,
            headers=['', 'what differs', one, other],
            disable_numparse=True,
        )
        + '\n'
    )
  if left > 0:
    text += f'and {left:,} more values of later steps\n'
  missing = [f'; {each} has no rows' for each in comparison.without_rows]
  return text + verdict(comparison) + ''.join(missing)


def verdict(comparison: comparing.Comparison) -> str:
  """Describes in one line whether two runs are equal, or where they differ."""
  compared = (
      f'{comparison.num_rows:,} rows and {comparison.num_hashes:,} hashes of '
      'weights'
  )
  if comparison.is_equal:
    return f'equal: {compared} agree to the bit'
  if not comparison.computed:
    return 'not known: the runs have no row or hash in common'
  first = comparison.computed[0]
  text = (
      f'they differ, of {compared} first in {first.about}: {first.name} '
      f'{shown(first.values[0])} and {shown(first.values[1])}'
  )
  gap, where = comparison.largest
  return f'{text}; by at most {gap:.2g} of a value, {where}' if gap else text


def _row(difference: differences.Difference) -> list[str]:
  return [difference.about, difference.name, *map(shown, difference.values)]


def shown(value: Any) -> str:
  """Returns a value as text, shortened."""
  text = value if isinstance(value, str) else json.dumps(value)
  return text if len(text) <= _WIDTH else f'{text[:_WIDTH - 3]}...'


def program() -> None:
  """Runs the program as a command: it ends the process."""
  programs.run(main, takes_arguments=POSITIONAL)


if __name__ == '__main__':
  program()
