"""Tests of the share of variance explained against scikit-learn."""

from __future__ import annotations

import numpy as np
import sklearn.metrics
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.metrics import cases


def _reference(function):
  def reference(case):
    labels, predictions = (
        field.reshape(len(field), -1).astype(np.float64)
        for field in (case.labels, case.predictions)
    )
    weights = case.weights.astype(np.float64)
    return function(labels, predictions, sample_weight=weights)

  return reference


MEMBERS = {
    'r2': (metrics.r2_score(), _reference(sklearn.metrics.r2_score)),
    'explained variance': (
        metrics.explained_variance(),
        _reference(sklearn.metrics.explained_variance_score),
    ),
}


class ExplainedTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(outputs=((), (3,)), mean=(0.0, 1e3, 1e4))
  def test_is_scikit_learns(self, outputs, mean):
    rng = np.random.default_rng(int(mean))
    examples = (
        cases.numbers(rng, rng.integers(15, 60), *outputs, mean=mean)
        for _ in range(34)
    )
    tolerance = 2e-6 + 1e-14 * mean**2  # The limit that r2 states.
    cases.check_against(MEMBERS, examples, rng, tolerance)

  def test_many_float32_merges_far_from_zero(self):
    rng = np.random.default_rng(0)
    labels = (1e4 + rng.normal(size=20_000)).astype(np.float32)
    predictions = labels + rng.normal(size=labels.shape).astype(np.float32)
    sums = None
    metric = metrics.r2_score()
    measure = tf.function(metric.measure)
    for label, prediction in zip(
        np.split(labels, 500), np.split(predictions, 500), strict=True
    ):
      new = measure(label, prediction)
      sums = new if sums is None else cases.add(sums, new)
    expected = sklearn.metrics.r2_score(
        labels.astype(np.float64), predictions.astype(np.float64)
    )
    self.assertAllClose(metric.compute(sums), expected, 1e-6, 1e-6)

  @parameterized.parameters(0.0, 0.1, 12345.678)
  def test_constant_labels(self, value):
    labels = np.full(77, value, np.float32)
    weights = np.linspace(0.1, 1, 77)
    noise = np.arange(77, dtype=np.float32)
    for predictions, r2, explained in (
        (labels, 1.0, 1.0),
        (labels + 8, 0.0, 1.0),  # An offset is an error, but has no variance.
        (labels + noise, 0.0, 0.0),
    ):
      sums = metrics.r2_score().measure(labels, predictions, weights)
      self.assertEqual(metrics.r2_score().compute(sums), r2)
      self.assertEqual(metrics.explained_variance().compute(sums), explained)

  def test_without_weight(self):
    for metric, _ in MEMBERS.values():
      sums = metric.measure([1.0], [2.0], [0.0])
      self.assertEqual(metric.compute(sums), 0.0)

  def test_by_hand(self):
    labels, predictions = [0.0, 2.0, 4.0], [1.0, 2.0, 6.0]
    sums = metrics.r2_score().measure(labels, predictions)
    self.assertAllClose(metrics.r2_score().compute(sums), 1 - 5 / 8)
    self.assertAllClose(
        metrics.explained_variance().compute(sums), 1 - (5 - 3) / 8
    )


if __name__ == '__main__':
  absltest.main()
