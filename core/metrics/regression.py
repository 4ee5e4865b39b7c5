"""Metrics of real values that are means over examples or their places."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import inputs, metric


def mean() -> metric.Metric:
  """Returns the weighted mean of the predictions; labels are ignored.

  It is meant for values that are already per example, such as a loss.

  Returns:
    A metric of labels (anything, even None) and numbers. Its value is a scalar.

  Raises:
    ValueError: From `measure`, if a shape is wrong.

  Reference:
    Keras's ``keras.metrics.Mean``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.mean()
    >>> float(compute(measure(None, [1., 2., 3.], [1., 1., 0.])))
    1.5
  """
  return metric.Metric(_measure_mean, metric.weighted_mean)


def mean_squared_error() -> metric.Metric:
  """Returns the mean of squared differences.

  Returns:
    A metric of numbers. Its value is a scalar.

  Raises:
    ValueError: From `measure`, if a shape is wrong.

  Reference:
    scikit-learn's ``mean_squared_error``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.mean_squared_error()
    >>> float(compute(measure([1., 2.], [1., 4.])))
    2.0
  """
  return metric.Metric(_measure_squares, metric.weighted_mean)


def root_mean_squared_error() -> metric.Metric:
  """Returns the root of the mean of squared differences over all examples.

  Returns:
    A metric of numbers; squares are averaged over all axes before the root is
    taken. Its value is a scalar.

  Raises:
    ValueError: From `measure`, if a shape is wrong.

  Reference:
    scikit-learn's ``root_mean_squared_error`` of a single output.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.root_mean_squared_error()
    >>> float(compute(measure([1., 2., 3., 4.], [1., 2., 3., 8.])))
    2.0
  """

  def compute(sums: Any) -> tf.Tensor:
    return tf.sqrt(metric.weighted_mean(sums))

  return metric.Metric(_measure_squares, compute)


def mean_absolute_error() -> metric.Metric:
  """Returns the mean of absolute differences.

  Returns:
    A metric of numbers. Its value is a scalar.

  Raises:
    ValueError: From `measure`, if a shape is wrong.

  Reference:
    scikit-learn's ``mean_absolute_error``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.mean_absolute_error()
    >>> float(compute(measure([1., 2.], [1., 4.])))
    1.0
  """
  return metric.Metric(_measure_magnitudes, metric.weighted_mean)


def _measure_mean(
    labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
  del labels
  values, weights = inputs.numbers(weights, predictions=predictions)
  return metric.weighted_sums(tf.reduce_mean(values, axis=1), weights)


def _measure_squares(
    labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
  labels, predictions, weights = inputs.numbers(
      weights, labels=labels, predictions=predictions
  )
  errors = tf.reduce_mean((labels - predictions) ** 2, axis=1)
  return metric.weighted_sums(errors, weights)


def _measure_magnitudes(
    labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
  labels, predictions, weights = inputs.numbers(
      weights, labels=labels, predictions=predictions
  )
  errors = tf.reduce_mean(tf.abs(labels - predictions), axis=1)
  return metric.weighted_sums(errors, weights)
