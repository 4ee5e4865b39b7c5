"""The table of models and formats in docs/export_formats.md."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from tests import written_tables
from tests.exports import cases, measuring

DOCS = pathlib.Path(__file__).parents[2] / 'docs' / 'export_formats.md'
_BEGIN = written_tables.mark('python -m tests.exports --write_docs')


def cell(row: measuring.Row, name: str) -> str:
  """Returns how far an export is off, for the table."""
  found = row.found[name]
  if not found.rows:
    return 'refused'
  worst = max(each['max_difference'] for each in found.rows)
  if found.rows[0]['metric_limit'] is None:
    return f'{worst:.0e}'
  return f'{found.rows[0]["metric"] - row.value:+.4f} ({worst:.0e})'


def line(row: measuring.Row) -> str:
  """Returns the results of a model in a line."""
  return '  '.join([
      row.case.model,
      *(f'{name} {cell(row, name)}' for name in row.found),
  ])


def text(rows: Sequence[measuring.Row], num_steps: int) -> str:
  """Returns the table, with its machine and the refused exports."""
  runtimes = {
      each['runtime']: None
      for row in rows
      for found in row.found.values()
      for each in found.rows
  }
  lines = [
      (
          f'`{row.case.model}`',
          f'{row.num_parameters:,}',
          f'{row.metric} {row.value:.4f}',
          *(cell(row, name) for name in row.found),
      )
      for row in rows
  ]
  refused = [
      f'- `{row.case.model}`, {name}: {" ".join(found.said.split())}'
      for row in rows
      for name, found in row.found.items()
      if found.said
  ]
  return '\n'.join([
      (
          f'Trained for {num_steps} steps each; {cases.NUM_TEST:,} test'
          f' examples. Run by {", ".join(runtimes)}. {written_tables.machine()}'
      ),
      '',
      written_tables.markdown(
          ('model', 'parameters', 'the model', *measuring.FORMATS), lines
      ),
      *(['', *refused] if refused else []),
  ])


def write(rows: Sequence[measuring.Row], num_steps: int) -> None:
  """Writes the table into the page, between its marks."""
  written_tables.write(DOCS, _BEGIN, text(rows, num_steps))
