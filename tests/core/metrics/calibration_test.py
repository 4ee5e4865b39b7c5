"""Tests of calibration errors against their definition, bin by bin."""

from __future__ import annotations

import math

import numpy as np
import scipy.special
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.metrics import cases


def _gaps(case, num_bins):
  """The share of weight and the distance of each bin that has weight."""
  scores = scipy.special.softmax(case.predictions.astype(np.float64), axis=1)
  confidence = np.max(scores, axis=1)
  correct = np.argmax(scores, axis=1) == case.labels
  weights = case.weights.astype(np.float64)
  for index in range(num_bins):
    low, high = index / num_bins, (index + 1) / num_bins
    inside = (confidence > low) & (confidence <= high)
    if np.any(inside):
      weight = weights[inside]
      gap = np.average(correct[inside] - confidence[inside], weights=weight)
      yield np.sum(weight) / np.sum(weights), abs(gap)


class CalibrationTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(num_classes=(2, 5), num_bins=(1, 15))
  def test_is_the_definition(self, num_classes, num_bins):
    members = {
        'expected': (
            metrics.expected_calibration_error(num_bins),
            lambda case: sum(
                share * gap for share, gap in _gaps(case, num_bins)
            ),
        ),
        'maximum': (
            metrics.maximum_calibration_error(num_bins),
            lambda case: max(gap for _, gap in _gaps(case, num_bins)),
        ),
    }
    rng = np.random.default_rng(num_classes)
    examples = (
        cases.classes(rng, rng.integers(1, 60), num_classes) for _ in range(50)
    )
    cases.check_against(members, examples, rng, tolerance=2e-6)

  def test_by_hand(self):
    # Confidence 3/4 twice and right once; 9/10 once and wrong.
    logits = [[0, math.log(3)], [math.log(3), 0], [math.log(9), 0]]
    expected, maximum = (
        metrics.expected_calibration_error(10),
        metrics.maximum_calibration_error(10),
    )
    sums = expected.measure([1, 1, 1], logits)
    self.assertAllClose(expected.compute(sums), 2 / 3 * 0.25 + 1 / 3 * 0.9)
    self.assertAllClose(maximum.compute(sums), 0.9)

  def test_bad_number_of_bins(self):
    with self.assertRaisesRegex(ValueError, 'num_bins'):
      metrics.expected_calibration_error(0)


if __name__ == '__main__':
  absltest.main()
