"""Compares two runs: what they are, and the first step at which they part.

  python -m launch.diff runs/first runs/again

Prints how flags, code, packages, data and history differ, and the first row of
metrics.jsonl, or hash of the weights, that is not the same in both.
Exits with 0 if what the runs computed is equal to the bit, else with 1.
"""

from __future__ import annotations

import json
from typing import Any

from . import comparing, differences, programs, workdir

# Whether there are arguments besides flags.
POSITIONAL = True
# How much of a value a column has room for, and how many values are listed.
_WIDTH = 40
_MOST = 12


def main() -> int:
  """Runs the program; returns its exit code."""
  given = programs.positional()
  if len(given) != 2:
    raise programs.UserError(
        f'expected the work directories of two runs, got {len(given)}; as in '
        'launch.diff runs/first runs/again.'
    )
  one, other = (workdir.Workdir(path) for path in given)
  comparison = comparing.compare(one, other)
  print(table(comparison, str(one.path), str(other.path)))
  return 0 if comparison.is_equal else 1


def table(comparison: comparing.Comparison, one: str, other: str) -> str:
  """Formats a comparison.

  Args:
    comparison: The comparison.
    one: What to call the first run.
    other: What to call the second.

  Returns:
    A table of what differs, and a line that says from where on.
  """
  import tabulate  # A library may want the comparison alone.

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
  return text + verdict(comparison)


def verdict(comparison: comparing.Comparison) -> str:
  """Says in a line whether two runs are equal, or where they part."""
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
