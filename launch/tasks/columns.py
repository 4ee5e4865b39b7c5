"""Metrics per column of several outputs, and counts of binary decisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from core import metrics
from core.metrics import rates

# The range of the bins, in standard deviations, and their number.
NUM_DEVIATIONS = 3.0
_NUM_BINS = 26


def each(metric: metrics.Metric, num_columns: int) -> metrics.Metric:
  """Measures each column separately.

  Args:
    metric: A metric of labels and predictions ``[batch_size]``.
    num_columns: The number of columns.

  Returns:
    A metric of labels and predictions ``[batch_size, num_columns]`` with value
    ``[num_columns]``.
  """
  measure = _Each(metric.measure, num_columns)
  return metrics.Metric(
      measure,
      lambda sums: tf.stack([metric.compute(part) for part in sums]),
  )


@dataclasses.dataclass(frozen=True)
class _Each:
  """The measure of each column; equal ones are computed once."""

  measure: Callable[..., Any]
  num_columns: int

  def __call__(self, labels: Any, predictions: Any, weights: Any = None) -> Any:
    return tuple(
        self.measure(labels[:, i], predictions[:, i], weights)
        for i in range(self.num_columns)
    )


def at(metric: metrics.Metric, index: int | None) -> metrics.Metric:
  """Measures one of several predictions of each number.

  Args:
    metric: A metric of numbers.
    index: The index in the last axis of the predictions. If None, they are
      unchanged.

  Returns:
    The metric.
  """
  return metric._replace(measure=_At(metric.measure, index))


@dataclasses.dataclass(frozen=True)
class _At:
  """The measure of one of several predictions; equal ones are shared."""

  measure: Callable[..., Any]
  index: int | None

  def __call__(self, labels: Any, predictions: Any, weights: Any = None) -> Any:
    if self.index is not None:
      predictions = predictions[..., self.index]
    return self.measure(labels, predictions, weights)


def of_constant(
    metric: metrics.Metric, prediction: tuple[float, ...]
) -> metrics.Metric:
  """Measures the same prediction for every example: a baseline.

  Args:
    metric: A metric of numbers ``[batch_size, num_columns]``.
    prediction: The prediction of each column.

  Returns:
    The metric.
  """
  return metric._replace(measure=_Constant(metric.measure, prediction))


@dataclasses.dataclass(frozen=True)
class _Constant:
  """The measure of a constant prediction."""

  measure: Callable[..., Any]
  prediction: tuple[float, ...]

  def __call__(self, labels: Any, predictions: Any, weights: Any = None) -> Any:
    constant = tf.zeros_like(labels) + tf.constant(self.prediction)
    return self.measure(labels, constant, weights)


def histogram(mean: Sequence[float], std: Sequence[float]) -> metrics.Metric:
  """Counts pairs of labels and predictions in bins, for a plot.

  Args:
    mean: The center of the bins of each column.
    std: The standard deviations. Bins extend to 3 of them on either side; the
      outermost bins include everything beyond.

  Returns:
    A metric of numbers ``[batch_size, num_columns]``. Its value is
    ``[num_columns, num_bins, num_bins]``, with a row per bin of labels.
  """
  shift, scale = tf.constant(mean, tf.float32), tf.constant(std, tf.float32)

  def bins(numbers: tf.Tensor) -> tf.Tensor:
    place = (numbers - shift) / scale / NUM_DEVIATIONS  # In [-1, 1].
    place = tf.where(tf.math.is_nan(place), 0.0, place)
    place = tf.clip_by_value((place + 1) / 2 * _NUM_BINS, 0, _NUM_BINS - 1)
    return tf.one_hot(tf.cast(place, tf.int32), _NUM_BINS)  # [B, N, K]

  def measure(
      labels: tf.Tensor, predictions: tf.Tensor, weights: Any = None
  ) -> tf.Tensor:
    rows, places = bins(labels), bins(predictions)
    if weights is not None:
      rows *= tf.cast(weights, tf.float32)[:, tf.newaxis, tf.newaxis]
    return tf.einsum('bni,bnj->nij', rows, places)

  return metrics.Metric(measure, lambda sums: sums)


def coverage() -> metrics.Metric:
  """Returns the share of labels between the first and the last quantile.

  Returns:
    A metric of labels ``[batch_size, num_columns]`` and predictions
    ``[batch_size, num_columns, num_levels]``, with a scalar value.
  """

  def inside(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    is_inside = (labels >= predictions[..., 0]) & (
        labels <= predictions[..., -1]
    )
    return tf.cast(is_inside, tf.float32)

  return _mean_of(inside)


def interval_width() -> metrics.Metric:
  """Returns the mean distance between the first and the last quantile.

  Returns:
    A metric like `coverage`.
  """
  return _mean_of(
      lambda _, predictions: predictions[..., -1] - predictions[..., 0]
  )


def _mean_of(values: Callable[..., tf.Tensor]) -> metrics.Metric:
  """Averages a function of labels and predictions over all numbers."""
  mean = metrics.mean()

  def measure(labels: Any, predictions: Any, weights: Any = None) -> Any:
    return mean.measure(None, values(labels, predictions), weights)

  return metrics.Metric(measure, mean.compute)


def counted(
    formula: Callable[[rates.Counts], tf.Tensor], average: str | None
) -> metrics.Metric:
  """Makes a metric of the true and false positives and negatives per class.

  Args:
    formula: A function of the counts, such as `rates.precision`.
    average: 'macro' averages over classes, 'micro' pools the counts of all
      classes. If None, there is one value per class.

  Returns:
    A metric of labels, 0 or 1, and logits ``[batch_size, num_classes]``; a
    class is predicted if its probability is above 0.5.
  """

  def compute(sums: dict[str, tf.Tensor]) -> tf.Tensor:
    tp, positives, labelled, all_ = (
        tf.reduce_sum(sums[name], axis=0) if average == 'micro' else sums[name]
        for name in ('both', 'predicted', 'labelled', 'all')
    )
    value = formula(
        rates.Counts(
            tp, positives - tp, labelled - tp, all_ - positives - labelled + tp
        )
    )
    return tf.reduce_mean(value) if average == 'macro' else value

  return metrics.Metric(_measure_counts, compute)


def exact_match() -> metrics.Metric:
  """Returns the share of examples for which every class is right."""
  return metrics.Metric(
      _measure_exact,
      lambda sums: tf.math.divide_no_nan(sums['right'], sums['weight']),
  )


def _measure_counts(
    labels: tf.Tensor, predictions: tf.Tensor, weights: Any = None
) -> dict[str, tf.Tensor]:
  labels, predicted, weights = _binary(labels, predictions, weights)
  return {
      'both': tf.reduce_sum(weights * labels * predicted, axis=0),
      'predicted': tf.reduce_sum(weights * predicted, axis=0),
      'labelled': tf.reduce_sum(weights * labels, axis=0),
      'all': tf.reduce_sum(weights * tf.ones_like(labels), axis=0),
  }


def _measure_exact(
    labels: tf.Tensor, predictions: tf.Tensor, weights: Any = None
) -> dict[str, tf.Tensor]:
  labels, predicted, weights = _binary(labels, predictions, weights)
  right = tf.reduce_all(tf.equal(labels, predicted), axis=1, keepdims=True)
  return {
      'right': tf.reduce_sum(weights * tf.cast(right, weights.dtype)),
      'weight': tf.reduce_sum(weights),
  }


def _binary(
    labels: tf.Tensor, logits: tf.Tensor, weights: Any
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Returns labels and predictions, 0 or 1, and weights ``[batch_size, 1]``."""
  labels = tf.cast(labels, tf.float32)
  predicted = tf.cast(tf.convert_to_tensor(logits) > 0, tf.float32)
  if weights is None:
    weights = tf.ones_like(labels[:, 0])
  return labels, predicted, tf.cast(weights, tf.float32)[:, tf.newaxis]
