"""Tables that the programs print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tabulate

from core import variables as variables_lib

_HEADLINE = (
    'loss', 'accuracy', 'top_5_accuracy', 'macro_f1', 'weighted_f1',
    'cross_entropy',
)
_MAX_LETTERS = 40


def validation(
    epoch: float, rows: Mapping[str, Mapping[str, float]]
) -> str:
  """Formats the values after an epoch, a line for each split.

  Args:
    epoch: The number of epochs so far.
    rows: Values by name, by split.

  Returns:
    The table.
  """
  columns = [n for n in _HEADLINE if any(n in row for row in rows.values())]
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
    classes: Mapping[str, Mapping[str, float]],
    num_examples: int,
) -> str:
  """Formats an evaluation: precision, recall, F1 a class, and the summary.

  Args:
    split: What was evaluated.
    values: Values by name.
    classes: Values by name, by class.
    num_examples: How many examples were scored.

  Returns:
    The tables.
  """
  names = ('precision', 'recall', 'f1')
  rows: list[Any] = [
      [_shortened(label), *(row[name] for name in names)]
      for label, row in classes.items()
  ]
  rows.append(tabulate.SEPARATING_LINE)
  rows.append(['macro average', *(values[f'macro_{name}'] for name in names)])
  per_class = tabulate.tabulate(
      rows, headers=[f'{split} ({num_examples:,} examples)', *names],
      floatfmt='.4f',
      disable_numparse=[0],  # A class may be named 1e5.
  )
  headline = '  '.join(
      f'{name} {values[name]:.4f}' for name in _HEADLINE if name in values
  )
  return f'{per_class}\n{split}: {headline}'


def _shortened(name: str) -> str:
  """Shortens a name that would push the numbers out of sight."""
  line = ' '.join(name.split())
  if len(line) > _MAX_LETTERS:
    line = f'{line[: _MAX_LETTERS - 3]}...'
  return line


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
