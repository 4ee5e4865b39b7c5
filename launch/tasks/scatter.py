"""A plot of predictions against labels."""

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
  """Plots predictions against labels, in a panel per target.

  Args:
    counts: The number of examples in each bin, ``[num_targets, num_bins,
      num_bins]``, with a row per bin of labels.
    names: The name of each target.
    mean: The mean of each target in training.
    std: The standard deviation of each target in training.

  Returns:
    A matplotlib Figure.
  """
  from matplotlib import figure as figure_lib  # Imported late: it is slow.

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
