"""The curve of launch.tune, as text for a terminal and as a picture."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import matplotlib
import tabulate
from matplotlib import figure

from ..files import whole_files
from ..reporting import page

matplotlib.use('agg')

_WIDTH = 40


def text(
    names: Sequence[str], rows: Sequence[Sequence[str]], values: Sequence[float]
) -> str:
  """Draws a bar for each row of a table.

  Args:
    names: The names of the columns.
    rows: The cells of each row.
    values: The length of each bar, relative to the largest.

  Returns:
    The table.
  """
  longest = max(0.0, *values) or 1.0
  return tabulate.tabulate(
      [
          [*row, '█' * round(_WIDTH * value / longest)]
          for row, value in zip(rows, values, strict=True)
      ],
      headers=[*names, ''],
      disable_numparse=True,
      colalign=[*['right'] * len(names), 'left'],
  )


def draw(
    path: pathlib.Path,
    title: str,
    axes: tuple[str, str],
    points: tuple[Sequence[float], Sequence[float]],
    smooth: Sequence[float] | None,
    marked: float,
) -> None:
  """Plots a curve over a logarithmic axis.

  Args:
    path: The PNG file to write.
    title: The title.
    axes: The labels of the axes.
    points: The coordinates along each.
    smooth: A second curve over the same places, or None.
    marked: The place to mark as suggested.

  Raises:
    OSError: If it cannot be written.
  """
  plot = figure.Figure(figsize=(7, 4.2), layout='constrained')
  panel = plot.subplots()
  if smooth is None:
    panel.plot(*points, 'o-')
    panel.set_ylim(bottom=0)
    panel.set_xscale('log')
    panel.set_xticks(points[0], [f'{place:g}' for place in points[0]])
    panel.minorticks_off()
  else:
    panel.set_xscale('log')
    panel.plot(*points, color='tab:blue', alpha=0.3, linewidth=1)
    panel.plot(points[0], smooth, color='tab:blue', label='smoothed')
    low, high = min(smooth), max(smooth[: max(1, len(smooth) // 2)])
    margin = 0.15 * (high - low) or 1.0
    panel.set_ylim(low - margin, high + 2 * margin)
  panel.axvline(
      marked, color='tab:orange', linestyle='--', label=f'suggested: {marked:g}'
  )
  panel.set(xlabel=axes[0], ylabel=axes[1])
  panel.set_title(title, parse_math=False)
  panel.grid(alpha=0.3)
  panel.legend()
  path.parent.mkdir(parents=True, exist_ok=True)
  with whole_files.replacing(path) as temporary:
    temporary.write_bytes(page.render(plot))
