"""Tests of areas under curves against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import scipy.special
import sklearn.metrics
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.metrics import cases

ROUNDING = 1e-6


def _log_odds(case):
  """The exact scores, one column a class."""
  if case.predictions.ndim == 1:
    return case.predictions[:, np.newaxis].astype(np.float64)
  logits = case.predictions.astype(np.float64)
  odds = []
  for index in range(logits.shape[1]):
    rest = scipy.special.logsumexp(np.delete(logits, index, axis=1), axis=1)
    odds.append(logits[:, index] - rest)
  return np.stack(odds, axis=1)


def _exact(function, case, average):
  if case.predictions.ndim == 1:
    return function(case.labels, case.predictions, sample_weight=case.weights)
  one_hot = np.eye(case.predictions.shape[1], dtype=int)[case.labels]
  return function(
      one_hot, _log_odds(case), average=average, sample_weight=case.weights
  )


def _with_all_classes(rng, size, num_classes):
  while True:
    if num_classes is None:
      case = cases.binary(rng, size)
    else:
      case = cases.classes(rng, size, num_classes)
    if len(set(case.real().labels)) == (num_classes or 2):
      return case


def _check_bounds(test, num_classes, average, num_bins, num_cases):
  """The errors are within their bounds; returns errors and bounds."""
  arguments = (num_classes, average, num_bins)
  factories = (
      metrics.roc_auc,
      metrics.roc_auc_error_bound,
      metrics.average_precision,
      metrics.average_precision_error_bound,
  )
  together = metrics.collection(
      {factory.__name__: factory(*arguments) for factory in factories}
  )
  rng = np.random.default_rng(num_bins)
  found = []
  measure = None
  for _ in range(num_cases):
    size = rng.integers(4 * (num_classes or 2), 80)
    case = _with_all_classes(rng, size, num_classes)
    measure = measure or cases.traced(together, case)
    bounds = np.sort(rng.integers(size + 1, size=rng.integers(4)))
    sums = cases.add(*(measure(*batch) for batch in case.slices(bounds)))
    values = together.compute(sums)
    for name, function in (
        ('roc_auc', sklearn.metrics.roc_auc_score),
        ('average_precision', sklearn.metrics.average_precision_score),
    ):
      error = np.abs(values[name] - _exact(function, case.real(), average))
      bound = values[f'{name}_error_bound'].numpy()
      test.assertTrue(np.all(error <= bound + ROUNDING), (name, error, bound))
      found.append((np.max(error), np.max(bound)))
  return np.array(found)


class CurvesTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      (None, 'macro'), (3, 'macro'), (3, 'weighted'), (4, None), (5, 'micro')
  )
  def test_within_the_bound_of_scikit_learns(self, num_classes, average):
    found = _check_bounds(self, num_classes, average, 1024, num_cases=40)
    self.assertGreater(found[:, 1].max(), 0)
    self.assertLess(np.median(found[:, 1]), 0.01)

  @parameterized.parameters((None, 'macro'), (3, None), (3, 'micro'))
  def test_few_bins_are_within_their_bound_too(self, num_classes, average):
    found = _check_bounds(self, num_classes, average, 8, num_cases=30)
    errors, bounds = found.T
    self.assertGreater(errors.max(), 0.01)
    self.assertLessEqual(bounds.max(), 1)

  def test_the_bounds_are_reached(self):
    # All in one bin: one order is perfect, the other the worst.
    area, bound = metrics.roc_auc(), metrics.roc_auc_error_bound()
    sums = area.measure([0, 1], [1e-5, 2e-5])
    self.assertEqual(area.compute(sums), 0.5)
    self.assertEqual(bound.compute(sums), 0.5)
    area = metrics.average_precision()
    bound = metrics.average_precision_error_bound()
    self.assertEqual(area.compute(sums), 0.5)
    self.assertEqual(bound.compute(sums), 0.5)

  def test_exact_where_no_bin_is_mixed(self):
    rng = np.random.default_rng(5)
    size = 200
    # bfloat16 scores lie so far apart that each has a bin of its own.
    logits = tf.cast(rng.uniform(1, 8, size), tf.bfloat16)
    labels = rng.integers(2, size=size)
    scores = logits.numpy().astype(np.float64)
    for factory, function in (
        (metrics.roc_auc, sklearn.metrics.roc_auc_score),
        (metrics.average_precision, sklearn.metrics.average_precision_score),
    ):
      metric = factory(num_bins=2**12)
      value = metric.compute(metric.measure(labels, logits))
      self.assertAllClose(value, function(labels, scores), ROUNDING, ROUNDING)

  def test_confident_scores_are_kept_apart(self):
    # In float32 the sigmoid of all of these is 1.
    metric = metrics.roc_auc()
    value = metric.compute(
        metric.measure([0, 0, 1, 1], [20.0, 25.0, 30.0, 90.0])
    )
    self.assertEqual(value, 1.0)
    metric = metrics.roc_auc(num_classes=2)
    logits = [[0.0, 20.0], [0.0, 25.0], [0.0, 30.0], [0.0, 200.0]]
    value = metric.compute(metric.measure([0, 0, 1, 1], logits))
    self.assertEqual(value, 1.0)

  @parameterized.parameters(
      (metrics.roc_auc, [1, 1], math.nan),
      (metrics.roc_auc, [0, 0], math.nan),
      (metrics.roc_auc_error_bound, [0, 0], math.nan),
      (metrics.average_precision, [1, 1], 1.0),
      (metrics.average_precision, [0, 0], 0.0),
      (metrics.average_precision_error_bound, [0, 0], 0.0),
  )
  def test_one_class_only(self, factory, labels, expected):
    metric = factory()
    value = metric.compute(metric.measure(labels, [1.0, -2.0]))
    self.assertAllClose(value, expected)

  def test_an_absent_class(self):
    labels = [0, 1, 0]
    logits = [[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [3.0, 0.0, 0.0]]
    for average, expected in (
        (None, [1.0, 1.0, math.nan]),
        ('macro', math.nan),
        ('weighted', 1.0),
    ):
      metric = metrics.roc_auc(3, average)
      self.assertAllClose(
          metric.compute(metric.measure(labels, logits)), expected
      )


if __name__ == '__main__':
  absltest.main()
