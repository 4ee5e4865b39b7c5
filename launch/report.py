"""Plots of a finished run: its curves, and where its model errs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import figure

from . import confusion

# Files only: no window, and no guess at a display.
matplotlib.use('agg')

_MAX_NAMED_CLASSES = 30
_MAX_LETTERS = 40


def write(
    directory: str,
    rows: Sequence[dict[str, Any]],
    test: dict[str, Any] | None,
) -> None:
  """Writes curves.png and, if a test split was scored, confusion.png.

  Args:
    directory: Where to write; it is made.
    rows: The rows of metrics.jsonl.
    test: The test split's evaluation, as result.json has it.
  """
  os.makedirs(directory, exist_ok=True)
  with warnings.catch_warnings():
    # A letter that no font of this machine has is drawn as a box.
    warnings.filterwarnings('ignore', r'Glyph .* missing from')
    _curves(rows).savefig(os.path.join(directory, 'curves.png'), dpi=120)
    if test:
      plot = _confusion(test['confusion_matrix'], list(test['per_class']))
      plot.savefig(os.path.join(directory, 'confusion.png'), dpi=120)


def _curves(rows: Sequence[dict[str, Any]]) -> figure.Figure:
  """Plots loss and accuracy of both splits, and the learning rate."""
  plot = figure.Figure(figsize=(12, 3.6), layout='constrained')
  panels = plot.subplots(1, 3)
  for panel, name in zip(
      panels, ('loss', 'accuracy', 'learning_rate'), strict=True
  ):
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


def _confusion(
    counts: Sequence[Sequence[int]], names: Sequence[str]
) -> figure.Figure:
  """Plots the share of each true class that was taken for each class."""
  matrix = confusion.from_json(counts, len(names))
  shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
  size = min(3 + 0.5 * len(names), 14)
  plot = figure.Figure(figsize=(size + 1, size), layout='constrained')
  panel = plot.subplots()
  end = len(names) - 0.5
  image = panel.imshow(
      shares, cmap='Blues', vmin=0, vmax=1, extent=(-0.5, end, end, -0.5)
  )
  plot.colorbar(image, label='share of the true class')
  panel.set(xlabel='predicted', ylabel='true', title='test')
  if len(names) <= _MAX_NAMED_CLASSES:
    ticks = range(len(names))
    shown = [_shortened(name) for name in names]
    # A dollar sign in a name does not begin mathematics.
    panel.set_xticks(ticks, shown, rotation=60, ha='right', parse_math=False)
    panel.set_yticks(ticks, shown, parse_math=False)
    for i, j in np.argwhere(matrix):
      color = 'white' if shares[i, j] > 0.5 else 'black'
      panel.text(
          j, i, f'{matrix[i, j]:.0f}', ha='center', va='center', color=color,
          fontsize=7,
      )
  return plot


def _shortened(name: str) -> str:
  """Shortens a name that would leave no room for the plot."""
  line = ' '.join(name.split())
  return line if len(line) <= _MAX_LETTERS else f'{line[: _MAX_LETTERS - 1]}…'
