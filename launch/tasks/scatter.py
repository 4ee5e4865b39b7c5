"""Predictions against labels, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import columns


def draw(
    counts: np.ndarray,
    names: Sequence[str],
    mean: np.ndarray,
    std: np.ndarray,
) -> Any:
  """Plots predictions against labels, a panel for each target.

  Args:
    counts: How many examples lie in each bin, ``[num_targets, num_bins,
      num_bins]``, a row for each bin of labels.
    names: The name of each target.
    mean: The mean of each in training.
    std: Their standard deviations.

  Returns:
    A Figure of matplotlib.
  """
  from matplotlib import figure as figure_lib  # Slow, and needed at the end.

  shown = min(len(counts), 4)
  plot = figure_lib.Figure(figsize=(4.5 * shown, 4), layout='constrained')
  panels = np.ravel(plot.subplots(1, shown))
  for index, panel in enumerate(panels):
    low, high = (
        mean[index] + std[index] * edge
        for edge in (-columns.NUM_DEVIATIONS, columns.NUM_DEVIATIONS)
    )
    panel.imshow(
        np.log1p(counts[index].T),
        origin='lower',
        cmap='Blues',
        aspect='auto',
        extent=(low, high, low, high),
    )
    panel.plot([low, high], [low, high], color='gray', linewidth=0.8)
    panel.set(xlabel='label', ylabel='prediction')
    panel.set_title(
        names[index] if len(counts) > 1 else 'test', parse_math=False
    )
  return plot
