"""Metrics of real values."""

from __future__ import annotations

import tensorflow as tf

from . import inputs, metric


def mean() -> metric.Metric:
  """Returns the weighted mean of the predictions; labels play no part.

  For values that are already per example, such as a loss.

  Returns:
    A metric of labels (anything, None as well), values ``[batch_size, ...]``,
    averaged over all axes but the first, and weights ``[batch_size]``; its
    value is [], 0 where there is no weight.

  Raises:
    ValueError: From `measure`, if a shape is wrong.

  Reference:
    Keras's `keras.metrics.Mean`.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.mean()
    >>> float(compute(measure(None, [1., 2., 3.], [1., 1., 0.])))
    1.5
  """
  return metric.Metric(_measure_mean, metric.weighted_mean)


def _measure_mean(labels, predictions, weights=None):
  del labels
  values, weights = inputs.numbers('predictions', predictions, weights)
  return metric.weighted_sums(tf.reduce_mean(values, axis=1), weights)
