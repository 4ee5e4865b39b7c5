"""Plots of a finished run: its curves, and what its task draws."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib import figure

# Files only: no window, and no guess at a display.
matplotlib.use('agg')


def write(
    directory: str,
    rows: Sequence[dict[str, Any]],
    figures: Mapping[str, Any],
    monitor: str,
) -> None:
  """Writes curves.png and the figures of a report.

  Args:
    directory: Where to write; it is made.
    rows: The rows of metrics.jsonl.
    figures: A figure for each file, or a function that draws it.
    monitor: What is watched, besides the loss.
  """
  os.makedirs(directory, exist_ok=True)
  with warnings.catch_warnings():
    # A letter that no font of this machine has is drawn as a box.
    warnings.filterwarnings('ignore', r'Glyph .* missing from')
    for name, plot in {'curves.png': _curves(rows, monitor), **figures}.items():
      drawn = plot() if callable(plot) else plot
      drawn.savefig(os.path.join(directory, name), dpi=120)


def _curves(rows: Sequence[dict[str, Any]], monitor: str) -> figure.Figure:
  """Plots loss, what is watched, and the learning rate, of both splits."""
  names = dict.fromkeys(('loss', monitor, 'learning_rate'))
  plot = figure.Figure(figsize=(12, 3.6), layout='constrained')
  panels = plot.subplots(1, len(names))
  for panel, name in zip(panels, names, strict=True):
    for split, style in (('train', '-'), ('validation', 'o-')):
      points = [
          (row['epoch'], row[name])
          for row in rows
          if row['split'] == split and name in row
      ]
      if points:
        panel.plot(*zip(*points, strict=True), style, label=split, markersize=3)
    panel.set(title=name.replace('_', ' '), xlabel='epoch')
    panel.grid(alpha=0.3)
    if panel.lines:
      panel.legend()
  return plot
