"""Tests of binary metrics at thresholds against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import scipy.special
import sklearn.metrics
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.metrics import cases

THRESHOLDS = (0.1, 0.5, 0.83)


def _reference(function, **options):
  def reference(case):
    scores = scipy.special.expit(case.predictions.astype(np.float64))
    return [
        function(
            case.labels,
            scores > threshold,
            sample_weight=case.weights.astype(np.float64),
            **options,
        )
        for threshold in THRESHOLDS
    ]

  return reference


class BinaryTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(0.0, 1.0, math.nan)
  def test_is_scikit_learns(self, undefined):
    reference = sklearn.metrics
    options = {'zero_division': undefined}
    arguments = (THRESHOLDS, undefined)
    members = {
        'accuracy': (
            metrics.binary_accuracy(THRESHOLDS),
            _reference(reference.accuracy_score),
        ),
        'precision': (
            metrics.binary_precision(*arguments),
            _reference(reference.precision_score, **options),
        ),
        'recall': (
            metrics.binary_recall(*arguments),
            _reference(reference.recall_score, **options),
        ),
        'specificity': (
            metrics.binary_specificity(*arguments),
            _reference(reference.recall_score, pos_label=0, **options),
        ),
        'f1': (
            metrics.binary_f1_score(*arguments),
            _reference(reference.f1_score, **options),
        ),
        'f0.5': (
            metrics.binary_fbeta_score(0.5, *arguments),
            _reference(reference.fbeta_score, beta=0.5, **options),
        ),
    }
    rng = np.random.default_rng(1)
    examples = (cases.binary(rng, rng.integers(1, 25)) for _ in range(67))
    cases.check_against(members, examples, rng)

  def test_one_threshold_gives_a_scalar(self):
    metric = metrics.binary_precision(0.9)
    value = metric.compute(metric.measure([1, 0, 0], [2.2, 2.19, -1.0]))
    self.assertEqual(value.shape, [])
    self.assertEqual(value, 1.0)  # The sigmoid of 2.1972 is 0.9.

  def test_at_the_threshold_is_not_above(self):
    metric = metrics.binary_recall([0.0, 0.5, 1.0])
    value = metric.compute(metric.measure([1, 1], [0.0, 90.0]))
    self.assertAllEqual(value, [1.0, 0.5, 0.0])

  @parameterized.parameters(bool, np.uint8, np.int64, np.float32)
  def test_labels_of_every_type(self, dtype):
    metric = metrics.binary_accuracy()
    value = metric.compute(metric.measure(np.array([0, 1], dtype), [1.0, 1.0]))
    self.assertEqual(value, 0.5)


if __name__ == '__main__':
  absltest.main()
