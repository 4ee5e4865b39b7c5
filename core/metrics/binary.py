"""Ratios of binary predictions at one or more thresholds.

An example is predicted positive if its probability, the sigmoid of its logit,
is above the threshold. Logits are compared, since they do not saturate. Metrics
with the same thresholds share their counts, which a collection measures once.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from .. import checks
from . import inputs, metric, precision_recall, rates


def binary_accuracy(
    threshold: float | Sequence[float] = 0.5,
) -> metric.Metric:
  """Returns the share of examples on the right side of the threshold.

  Args:
    threshold: A probability in [0, 1], or a sequence of them.

  Returns:
    A metric of binary labels and logits. Its value is a scalar, or
    ``[num_thresholds]``.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``accuracy_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.binary_accuracy()
    >>> float(compute(measure([0, 1, 1, 1], [-1., 2., 3., -4.])))
    0.75
  """
  return _at_threshold(rates.accuracy, threshold)


def binary_precision(
    threshold: float | Sequence[float] = 0.5, zero_division: float = 0.0
) -> metric.Metric:
  """Returns the share of positive predictions that are right, TP / (TP + FP).

  Args:
    threshold: A probability in [0, 1], or a sequence of them.
    zero_division: The value without positive predictions, in [0, 1] or NaN.

  Returns:
    A metric of binary labels and logits. Its value is a scalar, or
    ``[num_thresholds]``.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``precision_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.binary_precision(threshold=[0.5, 0.9])
    >>> compute(measure([0, 1], [1., 3.])).numpy().tolist()
    [0.5, 1.0]
  """
  return _at_threshold(rates.precision, threshold, zero_division)


def binary_recall(
    threshold: float | Sequence[float] = 0.5, zero_division: float = 0.0
) -> metric.Metric:
  """Returns the share of positive examples that are found, TP / (TP + FN).

  Args:
    threshold: A probability in [0, 1], or a sequence of them.
    zero_division: The value without positive examples, in [0, 1] or NaN.

  Returns:
    A metric of binary labels and logits. Its value is a scalar, or
    ``[num_thresholds]``.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``recall_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.binary_recall(threshold=[0.5, 0.9])
    >>> compute(measure([1, 1], [1., 3.])).numpy().tolist()
    [1.0, 0.5]
  """
  return _at_threshold(rates.recall, threshold, zero_division)


def binary_specificity(
    threshold: float | Sequence[float] = 0.5, zero_division: float = 0.0
) -> metric.Metric:
  """Returns the share of negatives predicted negative, TN / (TN + FP).

  Args:
    threshold: A probability in [0, 1], or a sequence of them.
    zero_division: The value without negative examples, in [0, 1] or NaN.

  Returns:
    A metric of binary labels and logits. Its value is a scalar, or
    ``[num_thresholds]``.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``recall_score`` with pos_label=0.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.binary_specificity()
    >>> float(compute(measure([0, 0], [1., -3.])))
    0.5
  """
  return _at_threshold(rates.specificity, threshold, zero_division)


def binary_fbeta_score(
    beta: float,
    threshold: float | Sequence[float] = 0.5,
    zero_division: float = 0.0,
) -> metric.Metric:
  """Returns the weighted harmonic mean of binary precision and recall.

  Args:
    beta: The weight of recall relative to precision; not negative.
    threshold: A probability in [0, 1], or a sequence of them.
    zero_division: The value with neither positive examples nor positive
      predictions, in [0, 1] or NaN.

  Returns:
    A metric of binary labels and logits. Its value is a scalar, or
    ``[num_thresholds]``.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``fbeta_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.binary_fbeta_score(beta=2.0)
    >>> round(float(compute(measure([1, 0], [1., 3.]))), 4)
    0.8333
  """
  checks.in_range('beta', beta, 0.0, math.sqrt(sys.float_info.max))
  formula = functools.partial(rates.f_beta, beta=beta)
  return _at_threshold(formula, threshold, zero_division)


def binary_f1_score(
    threshold: float | Sequence[float] = 0.5, zero_division: float = 0.0
) -> metric.Metric:
  """Returns the harmonic mean of binary precision and recall.

  Args:
    threshold: A probability in [0, 1], or a sequence of them.
    zero_division: The value with neither positive examples nor positive
      predictions, in [0, 1] or NaN.

  Returns:
    A metric of binary labels and logits. Its value is a scalar, or
    ``[num_thresholds]``.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``f1_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.binary_f1_score()
    >>> round(float(compute(measure([1, 0], [1., 3.]))), 4)
    0.6667
  """
  return binary_fbeta_score(1.0, threshold, zero_division)


def _at_threshold(
    formula: Callable[[rates.Counts, float], tf.Tensor],
    threshold: float | Sequence[float],
    zero_division: float = 0.0,
) -> metric.Metric:
  precision_recall.check_zero_division(zero_division)
  thresholds = (
      tuple(threshold) if isinstance(threshold, Iterable) else (threshold,)
  )
  for value in thresholds:
    checks.in_range('threshold', value, 0.0, 1.0)

  def compute(sums: Any) -> tf.Tensor:
    values = formula(rates.Counts(*sums), zero_division)
    return values if isinstance(threshold, Iterable) else values[0]

  return metric.Metric(_measure_counts(thresholds), compute)


def _logit(probability: float) -> float:
  if probability in (0.0, 1.0):
    return math.copysign(math.inf, probability - 0.5)
  return math.log(probability) - math.log1p(-probability)


@functools.cache
def _measure_counts(thresholds: Sequence[float]) -> Callable[..., Any]:
  limits = [_logit(threshold) for threshold in thresholds]

  def measure(
      labels: tf.Tensor,
      predictions: tf.Tensor,
      weights: tf.Tensor | None = None,
  ) -> Any:
    labels, logits, weights = inputs.binary(labels, predictions, weights)
    guesses = tf.cast(logits[:, tf.newaxis] > limits, tf.float32)  # [B, T]
    positives = (weights * labels)[:, tf.newaxis]
    negatives = (weights * (1 - labels))[:, tf.newaxis]
    return rates.Counts(
        true_positives=tf.reduce_sum(positives * guesses, axis=0),
        false_positives=tf.reduce_sum(negatives * guesses, axis=0),
        false_negatives=tf.reduce_sum(positives * (1 - guesses), axis=0),
        true_negatives=tf.reduce_sum(negatives * (1 - guesses), axis=0),
    )

  return measure
