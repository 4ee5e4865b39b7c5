"""The metrics of the built-in tasks, reimplemented in NumPy.

This implementation follows the definitions, in float64, and shares no code with
`core.metrics`: `launch.evaluate --verify` compares the two.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import numpy_predictions

# The bins of curves and of the plot of a regression.
_NUM_CURVE_BINS = 4096
_NUM_PLOT_BINS, _NUM_DEVIATIONS = 26, 3.0


Predictions = numpy_predictions.Predictions
Function = Callable[[Predictions], Any]


def _ratio(part: Any, whole: Any, undefined: float = 0.0) -> np.ndarray:
  part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
  return np.where(
      whole == 0, undefined, part / np.where(whole == 0, 1.0, whole)
  )


def _precision(hits: Any, extra: Any, missed: Any) -> np.ndarray:
  return _ratio(hits, hits + extra)


def _recall(hits: Any, extra: Any, missed: Any) -> np.ndarray:
  return _ratio(hits, hits + missed)


def _f1(hits: Any, extra: Any, missed: Any) -> np.ndarray:
  return _ratio(2 * hits, 2 * hits + extra + missed)


_RATES = {'precision': _precision, 'recall': _recall, 'f1': _f1}


def _accuracy(p: Predictions) -> float:
  label, logits, weight = p.flat
  return float(
      _ratio(weight @ (np.argmax(logits, axis=1) == label), weight.sum())
  )


def _top_5_accuracy(p: Predictions) -> float:
  label, logits, weight = p.flat
  # A stable sort ranks the first of equal values highest.
  best = np.argsort(-logits, axis=1, kind='stable')[:, :5]
  is_among = np.equal(best, label[:, np.newaxis]).any(axis=1)
  return float(_ratio(weight @ is_among, weight.sum()))


def _cross_entropy(p: Predictions) -> float:
  label, logits, weight = p.flat
  shifted = logits - logits.max(axis=1, keepdims=True)
  own = shifted[np.arange(len(label)), label]
  losses = np.log(np.exp(shifted).sum(axis=1)) - own
  return float(_ratio(weight @ losses, weight.sum()))


def _weighted_f1(p: Predictions) -> float:
  hits, _, missed = p.of_classes
  support = hits + missed
  return float(_ratio(_f1(*p.of_classes) @ support, support.sum()))


def _iou(p: Predictions) -> np.ndarray:
  return _ratio(p.of_classes[0], np.sum(p.of_classes, axis=0))


def _mean_iou(p: Predictions) -> float:
  is_seen = np.sum(p.of_classes, axis=0) > 0
  return float(_iou(p)[is_seen].mean()) if is_seen.any() else 0.0


def _of_rates(counts: str, averages: tuple[str, ...]) -> dict[str, Function]:
  """Returns precision, recall and F1, per class and averaged."""

  def value(p: Predictions, rate: Callable[..., Any], average: str) -> Any:
    each = getattr(p, counts)
    if average == 'micro':
      return float(rate(*(count.sum() for count in each)))
    return float(rate(*each).mean()) if average else rate(*each)

  return {
      f'{average}_{name}'
      if average
      else name: functools.partial(value, rate=rate, average=average)
      for average in ('', *averages)
      for name, rate in _RATES.items()
  }


def _exact_match(p: Predictions) -> float:
  is_right = ((p.label > 0) == (p.prediction > 0)).all(axis=1)
  return float(_ratio(p.weight @ is_right, p.weight.sum()))


def _average_precision(p: Predictions) -> np.ndarray:
  """Returns the exact value per class, from all scores in order."""
  return np.asarray([
      _area(-p.prediction[:, i].astype(np.float64), p.label[:, i] > 0, p.weight)
      for i in range(p.label.shape[1])
  ])


def _area(order: np.ndarray, is_positive: np.ndarray, weight: Any) -> float:
  """Adds up precision where recall increases; ties count together."""
  _, group = np.unique(order, return_inverse=True)
  positives = np.bincount(group, weight * is_positive)
  hits = np.cumsum(positives)
  precision = _ratio(hits, np.cumsum(np.bincount(group, weight)))
  return float(_ratio(positives @ precision, positives.sum()))


def _curve_bounds(p: Predictions) -> np.ndarray:
  """Returns the best minus the worst order within each bin, ``[C]``."""
  bounds = []
  for i in range(p.label.shape[1]):
    score, is_positive = p.prediction[:, i], p.label[:, i] > 0
    place = (score / (4 + np.abs(score)) + 1) / 2 * _NUM_CURVE_BINS
    best, worst = (
        np.lexsort((first, -np.floor(place)))
        for first in (~is_positive, is_positive)
    )
    steps = np.arange(len(score))
    values = [
        _area(steps, is_positive[order], p.weight[order])
        for order in (best, worst)
    ]
    bounds.append(values[0] - values[1])
  return np.asarray(bounds)


def _mae(p: Predictions) -> np.ndarray:
  return _column_means(p, np.abs(p.errors))


def _mse(p: Predictions) -> np.ndarray:
  return _column_means(p, p.errors**2)


def _column_means(p: Predictions, values: np.ndarray) -> np.ndarray:
  weight = p.weight.astype(np.float64)
  return _ratio(weight @ values, weight.sum())


def _r2(p: Predictions) -> np.ndarray:
  label, _, _ = p.numbers
  around = _column_means(p, (label - _column_means(p, label)) ** 2)
  missed = _mse(p)
  return 1 - np.where(around == 0, np.sign(missed), _ratio(missed, around))


def _counts(p: Predictions) -> np.ndarray:
  """Counts labels and predictions in bins, ``[K, bins, bins]``."""
  label, prediction, weight = p.numbers
  places = [_places(p, each).astype(np.int64) for each in (label, prediction)]
  counts = np.zeros([label.shape[1], _NUM_PLOT_BINS, _NUM_PLOT_BINS])
  column = np.broadcast_to(np.arange(label.shape[1]), label.shape)
  np.add.at(
      counts, (column, *places), np.broadcast_to(weight[:, None], label.shape)
  )
  return counts


def _places(p: Predictions, numbers: np.ndarray) -> np.ndarray:
  """Returns the bin of each number, with a fraction."""
  place = (numbers - p.mean) / p.std / _NUM_DEVIATIONS
  return np.clip((place + 1) / 2 * _NUM_PLOT_BINS, 0, _NUM_PLOT_BINS - 1)


def _on_edges(p: Predictions) -> float:
  """Returns the weight of numbers that rounding may move to another bin."""
  label, prediction, weight = p.numbers
  largest = np.abs(label).max(initial=0.0) / p.std.min(initial=np.inf)
  width = p.rounding * largest / _NUM_DEVIATIONS / 2 * _NUM_PLOT_BINS
  near = np.zeros(len(label), bool)
  for each in (label, prediction):
    place = _places(p, each)
    near |= (np.abs(place - np.round(place)) < width).any(axis=1)
  return float(weight @ near)


def _baseline(p: Predictions) -> Predictions:
  constant = np.broadcast_to(p.mean, p.label.shape)
  return dataclasses.replace(p, prediction=constant, middle=None)


def _coverage(p: Predictions) -> float:
  low, high = p.prediction[..., 0], p.prediction[..., -1]
  inside = (p.label >= low) & (p.label <= high)
  return float(_column_means(p, inside).mean())


def _interval_width(p: Predictions) -> float:
  width = p.prediction[..., -1].astype(np.float64) - p.prediction[..., 0]
  return float(_column_means(p, width).mean())


_CLASSES: dict[str, Function] = {
    'accuracy': _accuracy,
    'top_5_accuracy': _top_5_accuracy,
    'cross_entropy': _cross_entropy,
    'confusion_matrix': lambda p: p.matrix,
    'weighted_f1': _weighted_f1,
    **_of_rates('of_classes', ('macro',)),
}
TASKS: Mapping[str, Mapping[str, Function]] = {
    'classification': _CLASSES,
    'text': _CLASSES,
    'segmentation': {
        'pixel_accuracy': _accuracy,
        'mean_iou': _mean_iou,
        'iou': _iou,
        'confusion_matrix': lambda p: p.matrix,
    },
    'multi_label': {
        **_of_rates('of_labels', ('macro', 'micro')),
        'exact_match': _exact_match,
        'support': lambda p: p.of_labels[0] + p.of_labels[2],
        'average_precision': _average_precision,
        'mean_average_precision': lambda p: float(_average_precision(p).mean()),
    },
    'regression': {
        'mae': lambda p: float(_mae(p).mean()),
        'mae_each': _mae,
        'rmse': lambda p: float(np.sqrt(_mse(p).mean())),
        'rmse_each': lambda p: np.sqrt(_mse(p)),
        'r2': lambda p: float(_r2(p).mean()),
        'r2_each': _r2,
        'counts': _counts,
        'baseline_mae': lambda p: float(_mae(_baseline(p)).mean()),
        'baseline_rmse': lambda p: float(np.sqrt(_mse(_baseline(p)).mean())),
        'coverage': _coverage,
        'interval_width': _interval_width,
    },
}
"""The functions of each built-in task, by the names of its metrics."""


def _of_undecided(p: Predictions) -> float:
  """Returns how far a share may be off because rounding decides places."""
  return float(_ratio(p.undecided, p.weight.sum()))


def _of_rarest(p: Predictions) -> float:
  """Returns the same for a ratio over the rarest class."""
  counts = p.of_labels if p.label.shape == p.prediction.shape else p.of_classes
  seen = np.concatenate([counts[0] + counts[1], counts[0] + counts[2]])
  return float(2 * _ratio(p.undecided, seen[seen > 0].min(initial=np.inf)))


_SHARES = {'accuracy', 'top_5_accuracy', 'pixel_accuracy', 'exact_match'}
_OF_CURVES = {'average_precision', 'mean_average_precision'}
_OF_SCORES = {'cross_entropy', *_OF_CURVES}


def tolerance(task: str, name: str, p: Predictions) -> float:
  """Returns by how much a correct metric may be off.

  Args:
    task: The name of a built-in task.
    name: The name of one of its metrics.
    p: The predictions.

  Returns:
    The effect of float32 and rounding: they may decide the class of an example
    with nearly equal largest logits, and the bin of a number at an edge.
  """
  scale = 1.0
  if task == 'regression':
    if name == 'counts':
      return _on_edges(p)
    if not name.startswith('r2') and name != 'coverage':
      scale = float(np.abs(p.label).max(initial=0.0))
    return p.rounding * scale
  if name in _OF_CURVES:
    return p.rounding + float(_curve_bounds(p).max()) + _of_rarest(p)
  if name in _OF_SCORES:
    return p.rounding
  if name == 'confusion_matrix':
    return 2 * p.undecided
  if name in _SHARES:
    return p.rounding + _of_undecided(p)
  slack = _of_rarest(p)
  if name.startswith(('macro', 'mean')):  # One place affects three classes.
    slack = min(slack, 3 * p.undecided / p.prediction.shape[-1])
  return p.rounding + slack
