"""Tests of means of errors against scikit-learn."""

from __future__ import annotations

import numpy as np
import sklearn.metrics
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.metrics import cases


def _reference(function):
  def reference(case):
    size = len(case.labels)
    labels, predictions = (
        field.reshape(size, -1).astype(np.float64)
        for field in (case.labels, case.predictions)
    )
    weights = case.weights.astype(np.float64)
    return function(labels, predictions, sample_weight=weights)

  return reference


def _mean(labels, predictions, sample_weight):
  del labels
  return np.average(np.mean(predictions, axis=1), weights=sample_weight)


def _root(labels, predictions, sample_weight):
  return np.sqrt(
      sklearn.metrics.mean_squared_error(
          labels, predictions, sample_weight=sample_weight
      )
  )


class RegressionTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(((),), ((3,),), ((2, 2),))
  def test_is_scikit_learns(self, outputs):
    members = {
        'mean': (metrics.mean(), _reference(_mean)),
        'squared': (
            metrics.mean_squared_error(),
            _reference(sklearn.metrics.mean_squared_error),
        ),
        'root': (metrics.root_mean_squared_error(), _reference(_root)),
        'absolute': (
            metrics.mean_absolute_error(),
            _reference(sklearn.metrics.mean_absolute_error),
        ),
    }
    rng = np.random.default_rng(len(outputs))
    examples = (
        cases.numbers(rng, rng.integers(1, 50), *outputs) for _ in range(67)
    )
    cases.check_against(members, examples, rng)

  def test_by_hand(self):
    labels, predictions = [[1.0, 2.0], [3.0, 4.0]], [[1.0, 4.0], [3.0, 0.0]]
    expected = {
        metrics.mean: (3 * 2.5 + 1.5) / 4,
        metrics.mean_squared_error: (3 * 2 + 8) / 4,
        metrics.root_mean_squared_error: np.sqrt(3.5),
        metrics.mean_absolute_error: (3 * 1 + 2) / 4,
    }
    for factory, value in expected.items():
      metric = factory()
      sums = metric.measure(labels, predictions, [3, 1])
      self.assertAllClose(metric.compute(sums), value)
      self.assertEqual(metric.compute(metric.measure([1.0], [2.0], [0.0])), 0.0)

  @parameterized.parameters(
      metrics.mean_squared_error, metrics.mean_absolute_error, metrics.r2_score
  )
  def test_shapes_are_not_broadcast(self, factory):
    with self.assertRaisesRegex(ValueError, r'predictions.*\(2, 1\)'):
      factory().measure([1.0, 2.0], [[1.0], [2.0]])
    with self.assertRaisesRegex(ValueError, 'labels'):
      factory().measure(1.0, 2.0)


if __name__ == '__main__':
  absltest.main()
