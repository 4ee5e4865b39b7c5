"""Gaps between confidence and accuracy, from summed bins.

Bins divide the confidence, the probability of the predicted class, into equal
intervals ((b - 1) / num_bins, b / num_bins]. The errors of batches cannot be
averaged, but the sums of their bins can be added. Both metrics share them if
they have the same number of bins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from . import inputs, metric


def expected_calibration_error(num_bins: int = 15) -> metric.Metric:
  r"""Returns the mean gap between confidence and accuracy over bins.

  .. math:: \sum_b \frac{n_b}{n} |\mathrm{acc}_b - \mathrm{conf}_b|

  Args:
    num_bins: The number of bins, at least 1.

  Returns:
    A metric of class labels and logits. Its value is a scalar, in [0, 1].

  Raises:
    ValueError: If num_bins is less than 1.

  Reference:
    Guo et al., On calibration of modern neural networks, 2017, equation 3
    (https://arxiv.org/abs/1706.04599).

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.expected_calibration_error()
    >>> float(compute(measure([0, 1], [[0., 0.], [0., 0.]])))
    0.0
  """

  def compute(sums: Any) -> tf.Tensor:
    gaps = tf.abs(sums['correct'] - sums['confidence'])
    return metric.divide(tf.reduce_sum(gaps), tf.reduce_sum(sums['weight']))

  return _binned(num_bins, compute)


def maximum_calibration_error(num_bins: int = 15) -> metric.Metric:
  r"""Returns the largest gap between confidence and accuracy in a bin.

  .. math:: \max_b |\mathrm{acc}_b - \mathrm{conf}_b|

  Args:
    num_bins: The number of bins, at least 1; empty bins count 0.

  Returns:
    A metric of class labels and logits. Its value is a scalar, in [0, 1].

  Raises:
    ValueError: If num_bins is less than 1.

  Reference:
    Guo et al., On calibration of modern neural networks, 2017, equation 5
    (https://arxiv.org/abs/1706.04599).

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.maximum_calibration_error()
    >>> float(compute(measure([0, 0], [[0., 0.], [0., 0.]])))
    0.5
  """

  def compute(sums: Any) -> tf.Tensor:
    gaps = tf.abs(sums['correct'] - sums['confidence'])
    return tf.reduce_max(metric.divide(gaps, sums['weight']))

  return _binned(num_bins, compute)


def _binned(num_bins: int, compute: Callable[..., tf.Tensor]) -> Any:
  measure = _measure_bins(inputs.at_least('num_bins', num_bins, 1))
  return metric.Metric(measure, compute)


@functools.cache
def _measure_bins(num_bins: int) -> Callable[..., Any]:

  def measure(
      labels: tf.Tensor,
      predictions: tf.Tensor,
      weights: tf.Tensor | None = None,
  ) -> Any:
    labels, logits, weights = inputs.classes(labels, predictions, weights)
    confidence = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
    guesses = tf.argmax(logits, -1, tf.int32)
    correct = tf.cast(tf.equal(guesses, labels), tf.float32)
    index = tf.cast(tf.math.ceil(confidence * num_bins), tf.int32) - 1
    bins = tf.one_hot(tf.clip_by_value(index, 0, num_bins - 1), num_bins)
    bins *= weights[:, tf.newaxis]
    confidence = tf.cast(confidence, tf.float32)
    return {
        'weight': tf.reduce_sum(bins, axis=0),
        'confidence': tf.reduce_sum(bins * confidence[:, tf.newaxis], axis=0),
        'correct': tf.reduce_sum(bins * correct[:, tf.newaxis], axis=0),
    }

  return measure
