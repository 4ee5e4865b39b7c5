"""The confusion matrix, and the counts that other metrics take from it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from . import inputs, metric, rates


def confusion_matrix(num_classes: int) -> metric.Metric:
  """Returns the weighted counts of each pair of label and predicted class.

  The prediction is the class of the largest logit, the first of equal ones.
  Counts are exact: weights of 0 and 1 give integers.

  Args:
    num_classes: The number of classes, at least 2.

  Returns:
    A metric of class labels and logits. Its value is ``[num_classes,
    num_classes]``, with labels as rows and predictions as columns.

  Raises:
    ValueError: If num_classes is less than 2.

  Reference:
    scikit-learn's ``confusion_matrix``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.confusion_matrix(num_classes=2)
    >>> compute(measure([0, 1], [[2., 1.], [3., 1.]])).numpy().tolist()
    [[1.0, 0.0], [1.0, 0.0]]
  """
  return metric.Metric(measure_matrix(num_classes), tf.convert_to_tensor)


def measure_matrix(num_classes: int) -> Callable[..., tf.Tensor]:
  """Returns the one measure that all confusion matrices of a size share."""
  return _measure_matrix(inputs.at_least('num_classes', num_classes, 2))


def counts(matrix: tf.Tensor) -> rates.Counts:
  """Returns the counts of each class against the rest, ``[num_classes]``.

  Each count adds up its own entries of the matrix only: a difference of sums
  would leave rounding errors where a count is 0 and its ratio is undefined.
  """
  matrix = tf.convert_to_tensor(matrix)
  hits = tf.linalg.diag_part(matrix)
  misses = tf.linalg.set_diag(matrix, tf.zeros_like(hits))
  labelled = tf.reduce_sum(matrix, axis=1, keepdims=True)
  rest = tf.linalg.set_diag(labelled - matrix, tf.zeros_like(hits))
  return rates.Counts(
      true_positives=hits,
      false_positives=tf.reduce_sum(misses, axis=0),
      false_negatives=tf.reduce_sum(misses, axis=1),
      true_negatives=tf.reduce_sum(rest, axis=0),
  )


@functools.cache
def _measure_matrix(num_classes: int) -> Callable[..., Any]:

  def measure(
      labels: tf.Tensor,
      predictions: tf.Tensor,
      weights: tf.Tensor | None = None,
  ) -> Any:
    labels, logits, weights = inputs.classes(
        labels, predictions, weights, num_classes
    )
    # A product of one-hot matrices is deterministic where a scatter is not;
    # in float64, since GPUs round the factors of float32 products to TF32.
    truth = tf.one_hot(labels, num_classes, dtype=tf.float64)
    guess = tf.one_hot(
        tf.argmax(logits, -1, tf.int32), num_classes, dtype=tf.float64
    )
    weighted = tf.cast(weights, tf.float64)[:, tf.newaxis] * truth
    matrix = tf.linalg.matmul(weighted, guess, transpose_a=True)
    return tf.cast(matrix, tf.float32)

  return measure
