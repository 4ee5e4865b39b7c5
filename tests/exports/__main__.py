"""Exports every model of the registry in every format, and compares them.

  python -m tests.exports --write_docs

Each model is trained for some steps on data that it learns, and exported by
`launch.export` in one format after another. The exit code is 1 if an export is
not the model. Pages are compared in a browser if one is installed.
"""

from __future__ import annotations

import sys
import tempfile

from absl import app, flags

from tests.exports import cases, measuring, table

_MODELS = flags.DEFINE_list(
    'models', list(cases.CASES), f'Some of {", ".join(cases.CASES)}.'
)
_FORMATS = flags.DEFINE_list(
    'formats',
    list(measuring.FORMATS),
    f'Some of {", ".join(measuring.FORMATS)}.',
)
_NUM_STEPS = flags.DEFINE_integer(
    'num_steps', 300, 'How many steps each model is trained.', lower_bound=1
)
_WRITE_DOCS = flags.DEFINE_bool(
    'write_docs',
    False,
    'Write the table into docs/export_formats.md; for all models and formats.',
)


def main(argv: list[str]) -> int:
  """Runs the program; returns 1 if an export is not the model."""
  unknown = [
      *argv[1:],
      *sorted({*_MODELS.value} - {*cases.CASES}),
      *sorted({*_FORMATS.value} - {*measuring.FORMATS}),
  ]
  is_all = {*_MODELS.value} == {*cases.CASES} and (
      {*_FORMATS.value} == {*measuring.FORMATS}
  )
  if unknown or (_WRITE_DOCS.value and not is_all):
    mistake = (
        f'unknown: {", ".join(unknown)}'
        if unknown
        else ('--write_docs needs all models and formats')
    )
    print(f'tests.exports: {mistake}.', file=sys.stderr)
    return 2
  rows = []
  for name in _MODELS.value:
    with tempfile.TemporaryDirectory(prefix='exports-') as folder:
      rows.append(
          measuring.measure(
              cases.CASES[name], folder, _FORMATS.value, _NUM_STEPS.value
          )
      )
    print(table.line(rows[-1]), flush=True)
  if is_all:
    print(table.text(rows, _NUM_STEPS.value))
  if _WRITE_DOCS.value:
    table.write(rows, _NUM_STEPS.value)
  return int(
      not all(found.code == 0 for row in rows for found in row.found.values())
  )


if __name__ == '__main__':
  app.run(main)
