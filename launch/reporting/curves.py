"""Curves of one or several runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib import figure

# The file-only backend: it needs no display.
matplotlib.use('agg')

Rows = Sequence[Mapping[str, Any]]
_MAX_IN_LEGEND = 20


def draw(runs: Mapping[str, Rows], monitored: Iterable[str]) -> figure.Figure:
  """Plots the loss, metrics and the learning rate of both splits.

  Args:
    runs: The rows of metrics.jsonl, by the name of the run.
    monitored: The metrics to plot besides the loss.

  Returns:
    The figure. For one run, each split has its own color; for several, each
    run has.
  """
  names = dict.fromkeys(('loss', *monitored, 'learning_rate'))
  is_one = len(runs) == 1
  plot = figure.Figure(
      figsize=(4 * len(names), 3.6 if is_one else 4.2), layout='constrained'
  )
  panels = plot.subplots(1, len(names))
  for panel, name in zip(panels, names, strict=True):
    for index, rows in enumerate(runs.values()):
      for split, style in (('train', '-'), ('validation', 'o-')):
        points = [
            (row['epoch'], row[name])
            for row in rows
            if row['split'] == split and name in row
        ]
        if points:
          look: dict[str, Any] = (
              {'label': split}
              if is_one
              else {
                  'color': f'C{index % 10}',
                  'alpha': 0.4 if split == 'train' else 1,
              }
          )
          panel.plot(*zip(*points, strict=True), style, markersize=3, **look)
    panel.set_title(name.replace('_', ' '), parse_math=False)
    panel.set(xlabel='epoch')
    panel.grid(alpha=0.3)
    if panel.lines and is_one:
      panel.legend()
  if not is_one:
    for index, run in list(enumerate(runs))[:_MAX_IN_LEGEND]:
      panels[0].plot([], [], color=f'C{index % 10}', label=_plain(run))
    plot.legend(loc='outside lower center', ncols=min(len(runs), 4))
  return plot


def _plain(name: str) -> str:
  """Returns a name that matplotlib neither parses as math nor hides."""
  return name.replace('$', r'\$').lstrip('_')
