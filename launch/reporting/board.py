"""Writes the figures, examples and times of a report to TensorBoard."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import tabulate
import tensorflow as tf

from ..hooks import summaries
from . import page, pictures, run_page

# This figure is not specific to the end of a run.
_CURVES = 'curves.png'
_PER_ROW = 6
_MAX_ROWS = 6
_CELL = 240  # Side of a picture, in pixels.
_LINE = 14  # Pixels.
_POINTS, _DPI = 7, 120
_LETTERS = 34  # Characters that fit above a picture.
_LETTERS_OF_LEGEND = 140


def write(board: summaries.Summaries, facts: run_page.Facts) -> None:
  """Writes the values of the test split, and the sections of a page.

  Args:
    board: TensorBoard's files.
    facts: The content of the page.
  """
  step, test = facts.result['num_steps'], facts.result.get('test')
  if test:
    board.write(step, 'test', test['values'])
  board.call(step, 'test' if test else 'report', lambda: _add(facts))


def _add(facts: run_page.Facts) -> None:
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
      sheet = _sheet(parts, pictures.legend(spec))
      tf.summary.image(title, sheet[np.newaxis])
    else:
      tf.summary.text(title, _table(*pictures.as_table(parts, spec)))
  for name, data in facts.drawn.items():
    stem, _, kind = name.rpartition('.')
    if kind == 'png' and name != _CURVES:
      tf.summary.image(stem, tf.io.decode_png(data, channels=3)[tf.newaxis])


def _sheet(
    parts: Sequence[pictures.Parts],
    legend: Sequence[tuple[str, tuple[int, int, int]]],
) -> np.ndarray:
  """Draws examples with their values in a grid, uint8 ``[H, W, 3]``.

  Matplotlib only draws the text: a panel per picture would take a second.
  """
  from matplotlib import figure, patches
  from matplotlib.backends import backend_agg

  width = max(len(found) for found, _ in parts)
  per_row = max(_PER_ROW // width, 1)
  parts = parts[: per_row * _MAX_ROWS]
  texts = [_text(lines, _LETTERS * width) for _, lines in parts]
  top = 3 * _LINE if legend else 0
  above = _LINE * (1 + max(text.count('\n') + 1 for text in texts))
  num_rows = -(-len(parts) // per_row)
  size = per_row * width * _CELL, top + num_rows * (above + _CELL)
  plot = figure.Figure((size[0] / _DPI, size[1] / _DPI), _DPI)
  places: list[tuple[int, int, np.ndarray]] = []
  if legend:
    longest = max(len(name) for name, _ in legend)
    plot.legend(
        handles=[
            patches.Patch(color=f'#{bytes(color).hex()}', label=name)
            for name, color in legend[: pictures.MAX_SWATCHES]
        ],
        loc='upper left',
        fontsize=_POINTS,
        frameon=False,
        borderpad=0,
        ncols=max(_LETTERS_OF_LEGEND // (longest + 6), 1),
    )
  for i, ((found, _), text) in enumerate(zip(parts, texts, strict=True)):
    row, column = divmod(i, per_row)
    y = top + row * (above + _CELL) + above
    for j, (name, pixels) in enumerate(found.items()):
      x = (column * width + j) * _CELL
      places.append((x, y, _scaled(pixels)))
      plot.text(
          x / size[0],
          1 - (y - 3) / size[1],
          name if j else text,
          va='bottom',
          fontsize=_POINTS,
          parse_math=False,
      )
  canvas = backend_agg.FigureCanvasAgg(plot)
  with page.any_glyphs():
    canvas.draw()  # type: ignore[no-untyped-call]
  pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
  sheet = np.array(pixels)[..., :3]
  for x, y, pixels in places:
    sheet[y : y + len(pixels), x : x + pixels.shape[1]] = pixels
  return sheet


def _scaled(pixels: np.ndarray) -> np.ndarray:
  """Scales a picture to the size of a cell, minus a margin."""
  size = np.array(pixels.shape[:2])
  rows, columns = (
      np.arange(to) * each // to
      for each, to in zip(
          size, np.maximum(size * (_CELL - 8) // size.max(), 1), strict=True
      )
  )
  return pixels[rows][:, columns]


def _text(lines: Sequence[tuple[str, str]], num_letters: int) -> str:
  """Returns values by name; long ones are shortened."""
  return '\n'.join(
      textwrap.fill(
          f'{name} {value}', num_letters, max_lines=2, placeholder=' …'
      )
      for name, value in lines
  )


def _table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
  """Returns a Markdown table."""
  cells = [
      [
          f'{cell:.4g}'
          if isinstance(cell, float)
          else page.cut(' '.join(str(cell).split())).replace('|', '\\|')
          for cell in row
      ]
      for row in rows
  ]
  return tabulate.tabulate(
      cells, list(headers), tablefmt='pipe', disable_numparse=True
  )
