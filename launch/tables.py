"""Tables that the programs print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tabulate

from core import variables as variables_lib

# What a line has room for.
_MAX_VALUES = 6


def validation(
    epoch: float,
    rows: Mapping[str, Mapping[str, float]],
    headline: Sequence[str] = (),
) -> str:
  """Formats the values after an epoch, a line for each split.

  Args:
    epoch: The number of epochs so far.
    rows: Values by name, by split.
    headline: The names of those to show; by default the first six.

  Returns:
    The table.
  """
  columns = _shown({n: 0.0 for row in rows.values() for n in row}, headline)
  return tabulate.tabulate(
      [
          [split, *(row.get(name, '') for name in columns)]
          for split, row in rows.items()
      ],
      headers=[f'epoch {epoch:g}', *columns],
      floatfmt='.4f',
  )


def evaluation(
    split: str,
    values: Mapping[str, float],
    num_examples: int,
    table: str,
    headline: Sequence[str] = (),
) -> str:
  """Formats an evaluation: the table of its task, and a line that sums it up.

  Args:
    split: What was evaluated.
    values: Values by name.
    num_examples: How many examples were scored.
    table: The table of the report.
    headline: The names of values to show; by default the first six.

  Returns:
    The table and the line.
  """
  shown = _shown(values, headline)
  line = '  '.join(f'{name} {values[name]:.4f}' for name in shown)
  return f'{table}\n{split} ({num_examples:,} examples): {line}'.lstrip()


def _shown(
    values: Mapping[str, float], headline: Sequence[str]
) -> list[str]:
  """Returns the names to show, as many as a line has room for."""
  return [name for name in headline or values if name in values][:_MAX_VALUES]


def parameters(variables: Mapping[str, Any]) -> str:
  """Formats a model's variables: names, shapes, counts and bytes."""
  rows = variables_lib.overview(variables)
  table: list[Any] = [
      [r['name'], r['shape'], r['dtype'], r['count'], r['bytes']] for r in rows
  ]
  table.append(tabulate.SEPARATING_LINE)
  table.append([
      'all', '', '',
      sum(r['count'] for r in rows), sum(r['bytes'] for r in rows),
  ])
  return tabulate.tabulate(
      table,
      headers=['parameters', 'shape', 'type', 'count', 'bytes'],
      intfmt=',',
  )
