"""Tests of the confusion matrix."""

from __future__ import annotations

import numpy as np
import sklearn.metrics
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.metrics import cases


class ConfusionTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(2, 3, 5, 11)
  def test_is_scikit_learns(self, num_classes):

    def reference(case):
      return sklearn.metrics.confusion_matrix(
          case.labels,
          np.argmax(case.predictions, axis=1),
          labels=range(num_classes),
          sample_weight=case.weights.astype(np.float64),
      )

    rng = np.random.default_rng(num_classes)
    examples = (
        cases.classes(rng, rng.integers(1, 40), num_classes) for _ in range(50)
    )
    members = {'matrix': (metrics.confusion_matrix(num_classes), reference)}
    cases.check_against(members, examples, rng)

  def test_counts_are_integers_and_the_first_of_equal_logits_wins(self):
    metric = metrics.confusion_matrix(3)
    labels = np.repeat([0, 1, 2], 1000)
    sums = metric.measure(labels, np.zeros([3000, 3]), np.ones(3000))
    self.assertAllEqual(metric.compute(sums), [[1000, 0, 0]] * 3)

  @parameterized.parameters(np.int8, np.uint8, np.int32, np.int64)
  def test_labels_of_every_integer_type(self, dtype):
    metric = metrics.confusion_matrix(300)
    sums = metric.measure(np.array([100], dtype), tf.one_hot([7], 300))
    self.assertEqual(sums[100, 7], 1)
    self.assertEqual(tf.reduce_sum(sums), 1)

  def test_another_number_of_classes(self):
    with self.assertRaisesRegex(ValueError, r'predictions.*\[2, 4\]'):
      metrics.confusion_matrix(4).measure([0, 1], tf.zeros([2, 3]))


if __name__ == '__main__':
  absltest.main()
