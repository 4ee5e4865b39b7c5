"""Metrics of class logits that are means over examples or their places."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .. import checks
from . import inputs, metric


def accuracy() -> metric.Metric:
  """Returns the share of examples whose largest logit is the label's.

  The first of equal logits counts as the largest.

  Returns:
    A metric of class labels and logits. Its value is a scalar.

  Raises:
    ValueError: From `measure`, if a shape is wrong or a label out of range.
    TypeError: From `measure`, if the labels are not integers.

  Reference:
    scikit-learn's ``accuracy_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.accuracy()
    >>> float(compute(measure([0, 1], [[2., 1.], [3., 1.]])))
    0.5
  """
  return metric.Metric(_measure_accuracy, metric.weighted_mean)


def top_k_accuracy(k: int) -> metric.Metric:
  """Returns the share of examples whose label is among the k largest logits.

  Among equal logits, those of earlier classes count as larger, so a model with
  the same logit for every class is not right about all of them.

  Args:
    k: How many of the largest logits count, in [1, num_classes].

  Returns:
    A metric of class labels and logits. Its value is a scalar.

  Raises:
    ValueError: If k is less than 1 or, from `measure`, exceeds num_classes.

  Reference:
    scikit-learn's ``top_k_accuracy_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.top_k_accuracy(2)
    >>> float(compute(measure([0, 0], [[2., 3., 1.], [1., 2., 3.]])))
    0.5
  """
  measure = _measure_top_k(inputs.at_least('k', k, 1))
  return metric.Metric(measure, metric.weighted_mean)


def cross_entropy() -> metric.Metric:
  r"""Returns the mean negative log-likelihood of the labels, in nats.

  .. math:: -\frac{1}{\sum_i w_i} \sum_i w_i \log \mathrm{softmax}(x_i)_{y_i}

  Returns:
    A metric of class labels and logits. Its value is a scalar.

  Raises:
    ValueError: From `measure`, if a shape is wrong or a label out of range.
    TypeError: From `measure`, if the labels are not integers.

  Reference:
    scikit-learn's ``log_loss``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.cross_entropy()
    >>> round(float(compute(measure([0], [[1., 1.]]))), 4)
    0.6931
  """
  return metric.Metric(_measure_cross_entropy, metric.weighted_mean)


def perplexity() -> metric.Metric:
  """Returns the exponential of the mean cross-entropy of all examples.

  Returns:
    A metric of class labels and logits. Its value is a scalar, at least 1, and
    1 if all weights are 0.

  Raises:
    ValueError: From `measure`, if a shape is wrong or a label out of range.
    TypeError: From `measure`, if the labels are not integers.

  Reference:
    Jelinek et al., Perplexity, a measure of the difficulty of speech
    recognition tasks, 1977; torchmetrics' ``Perplexity``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.perplexity()
    >>> round(float(compute(measure([0], [[1., 1.]]))), 4)
    2.0
  """

  def compute(sums: Any) -> tf.Tensor:
    return tf.exp(metric.weighted_mean(sums))

  return metric.Metric(_measure_cross_entropy, compute)


def brier_score() -> metric.Metric:
  r"""Returns the mean squared distance of probabilities and one-hot labels.

  .. math:: \frac{1}{\sum_i w_i} \sum_i w_i
            \sum_k (\mathrm{softmax}(x_i)_k - [y_i = k])^2

  It is summed over classes, as Brier did: it is in [0, 2], and for two classes
  twice the score that counts one class only.

  Returns:
    A metric of class labels and logits. Its value is a scalar.

  Raises:
    ValueError: From `measure`, if a shape is wrong or a label out of range.
    TypeError: From `measure`, if the labels are not integers.

  Reference:
    Brier, Verification of forecasts expressed in terms of probability, 1950,
    equation 2; scikit-learn's ``brier_score_loss`` with scale_by_half=False.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.brier_score()
    >>> float(compute(measure([0], [[1., 1.]])))
    0.5
  """
  return metric.Metric(_measure_brier, metric.weighted_mean)


def _measure_accuracy(
    labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
  labels, logits, weights = inputs.classes(labels, predictions, weights)
  correct = tf.equal(tf.argmax(logits, -1, tf.int32), labels)
  return metric.weighted_sums(tf.cast(correct, tf.float32), weights)


@functools.cache
def _measure_top_k(k: int) -> Callable[..., Any]:

  def measure(
      labels: tf.Tensor,
      predictions: tf.Tensor,
      weights: tf.Tensor | None = None,
  ) -> Any:
    labels, logits, weights = inputs.classes(labels, predictions, weights)
    num_classes = logits.shape[-1]
    if num_classes is not None:
      checks.in_range('k', k, 1, num_classes)
    own = tf.gather(logits, labels, batch_dims=1)[:, tf.newaxis]
    is_before = tf.range(tf.shape(logits)[-1]) < labels[:, tf.newaxis]
    is_larger = (logits > own) | (tf.equal(logits, own) & is_before)
    rank = tf.reduce_sum(tf.cast(is_larger, tf.int32), axis=-1)
    return metric.weighted_sums(tf.cast(rank < k, tf.float32), weights)

  return measure


def _measure_cross_entropy(
    labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
  labels, logits, weights = inputs.classes(labels, predictions, weights)
  log_probabilities = tf.nn.log_softmax(logits)
  loss = -tf.gather(log_probabilities, labels, batch_dims=1)
  return metric.weighted_sums(loss, weights)


def _measure_brier(
    labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
  labels, logits, weights = inputs.classes(labels, predictions, weights)
  probabilities = tf.nn.softmax(logits)
  targets = tf.one_hot(labels, tf.shape(logits)[-1], dtype=logits.dtype)
  distances = tf.reduce_sum((probabilities - targets) ** 2, axis=-1)
  return metric.weighted_sums(distances, weights)
