"""Errors of predicted numbers, per example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import objectives

from . import inspection

_MAX_PANELS = 4
_NUM_BINS = 40
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class OfNumbers(inspection.Inspection):
  """Shows the largest errors, and the distribution of errors."""

  title = 'Largest errors'
  shown = ('prediction', 'error')
  kept = ('error',)

  def __init__(self, names: Sequence[str], std: np.ndarray, middle: int | None):
    """Sets the names and scales of the numbers.

    Args:
      names: The name of each number.
      std: The standard deviation of each in training.
      middle: The index of the predicted quantile that represents the number.
    """
    self._names = names
    self._std = std
    self._middle = middle

  def columns(
      self, batch: objectives.Batch, evaluation: objectives.Evaluation
  ) -> dict[str, tf.Tensor]:
    """Computes predictions minus labels, scored in standard deviations."""
    predictions = evaluation.predictions
    if self._middle is not None:
      predictions = predictions[..., self._middle]
    error = predictions - inspection.labels_of(batch, evaluation)
    return {
        inspection.SCORE: tf.reduce_max(tf.abs(error) / self._std, axis=1),
        'prediction': predictions,
        'error': error,
    }

  def sections(
      self, kept: Mapping[str, inspection.Kept]
  ) -> Sequence[inspection.Section]:
    """Describes the distribution of errors."""
    (split, columns), *_ = kept.items()
    errors = {
        name: column[np.isfinite(column)]
        for name, column in zip(self._names, columns['error'].T, strict=True)
    }
    errors = {name: column for name, column in errors.items() if len(column)}
    if not errors:
      return ()
    rows = [
        [
            name,
            float(column.mean()),
            float(column.std()),
            *np.quantile(column, _QUANTILES).tolist(),
        ]
        for name, column in errors.items()
    ]
    heads = ('minimum', '5 %', '25 %', 'median', '75 %', '95 %', 'maximum')
    return [
        inspection.Section(
            'Residuals',
            'The prediction minus the label, for '
            f'{len(columns["error"]):,} examples of {split}.',
            ('target', 'mean', 'standard deviation', *heads),
            rows,
            {'residuals.png': lambda: _draw(errors)},
        )
    ]


def _draw(errors: Mapping[str, np.ndarray]) -> Any:
  """Plots a histogram of the errors of each target."""
  from matplotlib import figure as figure_lib  # Imported late: it is slow.

  shown = list(errors.items())[:_MAX_PANELS]
  plot = figure_lib.Figure(
      figsize=(4.5 * len(shown), 3.4), layout='constrained'
  )
  panels = np.ravel(plot.subplots(1, len(shown)))
  for panel, (name, column) in zip(panels, shown, strict=True):
    panel.hist(column, _NUM_BINS)
    panel.axvline(0, color='gray', linewidth=0.8)
    panel.set(xlabel='prediction minus label', ylabel='examples')
    panel.set_title(name, parse_math=False)
    panel.grid(alpha=0.3)
  return plot
