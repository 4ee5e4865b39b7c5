"""Ratios of true and false positives and negatives."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from . import metric


class Counts(NamedTuple):
  """Weighted counts of the four outcomes, all of one shape."""

  true_positives: tf.Tensor
  false_positives: tf.Tensor
  false_negatives: tf.Tensor
  true_negatives: tf.Tensor


def accuracy(counts: Counts, undefined: float = 0.0) -> tf.Tensor:
  """(TP + TN) / (TP + FP + FN + TN)."""
  tp, fp, fn, tn = counts
  return metric.divide(tp + tn, tp + fp + fn + tn, undefined)


def precision(counts: Counts, undefined: float = 0.0) -> tf.Tensor:
  """TP / (TP + FP)."""
  tp, fp, _, _ = counts
  return metric.divide(tp, tp + fp, undefined)


def recall(counts: Counts, undefined: float = 0.0) -> tf.Tensor:
  """TP / (TP + FN)."""
  tp, _, fn, _ = counts
  return metric.divide(tp, tp + fn, undefined)


def specificity(counts: Counts, undefined: float = 0.0) -> tf.Tensor:
  """TN / (TN + FP)."""
  _, fp, _, tn = counts
  return metric.divide(tn, tn + fp, undefined)


def f_beta(
    counts: Counts, undefined: float = 0.0, beta: float = 1.0
) -> tf.Tensor:
  """(1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP)."""
  tp, fp, fn, _ = counts
  both = (1 + beta**2) * tp
  return metric.divide(both, both + beta**2 * fn + fp, undefined)


def intersection_over_union(
    counts: Counts, undefined: float = 0.0
) -> tf.Tensor:
  """TP / (TP + FP + FN)."""
  tp, fp, fn, _ = counts
  return metric.divide(tp, tp + fp + fn, undefined)


def average(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
  """Averages values ``[num_classes]`` that are not NaN; NaN if all are.

  If the weights of all classes with a value are 0, these are weighted equally.
  """
  is_kept = ~tf.math.is_nan(values)
  weights = tf.where(is_kept, weights, 0)
  has_weight = tf.reduce_sum(weights) > 0
  weights = tf.where(has_weight, weights, tf.cast(is_kept, values.dtype))
  total = tf.reduce_sum(tf.where(is_kept, values, 0) * weights)
  return metric.divide(total, tf.reduce_sum(weights), math.nan)
