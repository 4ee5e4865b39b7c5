"""What a report shows, in TensorBoard: figures, examples, times."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Sequence
from typing import Any

import tabulate
import tensorflow as tf

from ..hooks import summaries
from . import page, pictures, run_page

# Of a run, not of its end.
_CURVES = 'curves.png'
_INCHES = 12
_PER_ROW = 6
_MAX_ROWS = 6
_LETTERS = 34  # What fits above a picture.
_LETTERS_OF_LEGEND = 140


def write(board: summaries.Summaries, facts: run_page.Facts) -> None:
  """Writes the values of the test split, and the parts of a page.

  Args:
    board: TensorBoard's files.
    facts: The content of the page.
  """
  test = facts.result.get('test')

  def add() -> None:
    for name, value in (test['values'] if test else {}).items():
      tf.summary.scalar(name, value)
    _add(facts)

  board.call(facts.result['num_steps'], 'test' if test else 'report', add)


def _add(facts: run_page.Facts) -> None:
  drawn = dict(facts.drawn)
  del drawn[_CURVES]
  times = run_page.times(facts.result)
  tf.summary.text(
      'where the time went', _table(('', 'seconds', 'share'), times)
  )
  seen = facts.inspected
  if seen and seen.worst:
    spec = facts.start.data.spec
    parts = [pictures.parts(each, spec, seen.shown) for each in seen.worst]
    title = f'{seen.inspection.title} ({seen.split})'
    if any(found for found, _ in parts):
      sheet = functools.partial(_sheet, parts, pictures.legend(spec))
      drawn[f'{title}.png'] = page.render(sheet)
    else:
      tf.summary.text(title, _table(*pictures.as_table(parts, spec)))
  for name, data in drawn.items():
    stem, _, kind = name.rpartition('.')
    if kind == 'png':
      tf.summary.image(stem, tf.io.decode_png(data, channels=3)[tf.newaxis])


def _sheet(
    parts: Sequence[pictures.Parts],
    legend: Sequence[tuple[str, tuple[int, int, int]]],
) -> Any:
  """Draws examples with their values, in a grid."""
  from matplotlib import figure, patches

  width = max(len(found) for found, _ in parts)
  per_row = max(_PER_ROW // width, 1)
  parts = parts[: per_row * _MAX_ROWS]
  texts = [_text(lines, _LETTERS * width) for _, lines in parts]
  num_rows = -(-len(parts) // per_row)
  num_lines = max(text.count('\n') + 1 for text in texts)
  names = [
      patches.Patch(color=f'#{bytes(color).hex()}', label=name)
      for name, color in legend[: pictures.MAX_SWATCHES]
  ]
  plot = figure.Figure(
      figsize=(
          _INCHES,
          num_rows * (2.1 + 0.14 * num_lines) + 0.4 * bool(names),
      ),
      layout='constrained',
  )
  if names:
    longest = max(len(name) for name, _ in legend)
    plot.legend(
        handles=names, loc='outside upper left', fontsize=7, frameon=False,
        ncols=max(_LETTERS_OF_LEGEND // (longest + 6), 1),
    )
  panels = plot.subplots(num_rows, per_row * width, squeeze=False)
  for panel in panels.flat:
    panel.set_axis_off()
  for i, ((found, _), text) in enumerate(zip(parts, texts, strict=True)):
    row, column = divmod(i, per_row)
    for j, (name, pixels) in enumerate(found.items()):
      panel = panels[row, column * width + j]
      is_gray = pixels.shape[-1] == 1
      panel.imshow(
          pixels[..., 0] if is_gray else pixels, cmap='gray', vmin=0, vmax=255
      )
      panel.set_title(
          name if j else text, loc='left', fontsize=7, parse_math=False
      )
  return plot


def _text(lines: Sequence[tuple[str, str]], num_letters: int) -> str:
  """Returns values by name, of long ones the beginning."""
  return '\n'.join(
      textwrap.fill(
          f'{name} {value}', num_letters, max_lines=2, placeholder=' …'
      )
      for name, value in lines
  )


def _table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
  """Returns a table in Markdown."""
  cells = [
      [
          f'{cell:.4g}' if isinstance(cell, float)
          else page.cut(' '.join(str(cell).split())).replace('|', '\\|')
          for cell in row
      ]
      for row in rows
  ]
  return tabulate.tabulate(
      cells, list(headers), tablefmt='pipe', disable_numparse=True
  )
