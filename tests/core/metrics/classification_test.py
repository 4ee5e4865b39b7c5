"""Tests of means over examples against scikit-learn.

Covers: inputs.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.special
import sklearn.metrics
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.metrics import cases


def _weights(case):
  return case.weights.astype(np.float64)


def _accuracy(case):
  guesses = np.argmax(case.predictions, axis=1)
  return sklearn.metrics.accuracy_score(
      case.labels, guesses, sample_weight=_weights(case)
  )


def _of_probabilities(function, **options):
  def reference(case):
    logits = case.predictions.astype(np.float64)
    return function(
        case.labels,
        scipy.special.softmax(logits, axis=1),
        labels=range(logits.shape[1]),
        sample_weight=_weights(case),
        **options,
    )

  return reference


def _top_k(k):
  def reference(case):
    return sklearn.metrics.top_k_accuracy_score(
        case.labels,
        case.predictions,
        k=k,
        labels=range(case.predictions.shape[1]),
        sample_weight=_weights(case),
    )

  return reference


def _members(num_classes):
  log_loss = _of_probabilities(sklearn.metrics.log_loss)
  brier = _of_probabilities(
      sklearn.metrics.brier_score_loss, scale_by_half=False
  )
  measure, compute = metrics.perplexity()
  log_perplexity = metrics.Metric(
      measure, lambda sums: tf.math.log(compute(sums))
  )
  members = {
      'accuracy': (metrics.accuracy(), _accuracy),
      'cross-entropy': (metrics.cross_entropy(), log_loss),
      'log perplexity': (log_perplexity, log_loss),
      'brier': (metrics.brier_score(), brier),
      'all': (metrics.top_k_accuracy(num_classes), lambda case: 1.0),
  }
  if num_classes > 2:  # For two, scikit-learn expects one column of scores.
    for k in range(1, num_classes):
      members[f'top {k}'] = (metrics.top_k_accuracy(k), _top_k(k))
  return members


class ClassificationTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(2, 3, 5, 8)
  def test_is_scikit_learns(self, num_classes):
    rng = np.random.default_rng(num_classes)
    examples = (
        cases.classes(rng, rng.integers(1, 40), num_classes) for _ in range(50)
    )
    cases.check_against(_members(num_classes), examples, rng, tolerance=2e-6)

  def test_by_hand(self):
    # Softmax of [0, ln 3] is [1/4, 3/4].
    logits = [[0.0, math.log(3)], [0.0, math.log(3)]]
    expected = {
        metrics.accuracy: 1 / 4,
        metrics.cross_entropy: (3 * math.log(4) + math.log(4 / 3)) / 4,
        metrics.perplexity: (4**3 * 4 / 3) ** (1 / 4),
        metrics.brier_score: (3 * 2 * (3 / 4) ** 2 + 2 * (1 / 4) ** 2) / 4,
    }
    for factory, value in expected.items():
      metric = factory()
      sums = metric.measure([0, 1], logits, [3.0, 1.0])
      self.assertAllClose(metric.compute(sums), value)

  @parameterized.parameters(1, 2, 3)
  def test_equal_logits_are_ordered_by_class(self, k):
    metric = metrics.top_k_accuracy(k)
    sums = metric.measure(np.arange(4), np.zeros([4, 4]))
    self.assertAllClose(metric.compute(sums), k / 4)

  def test_cross_entropy_of_large_logits(self):
    metric = metrics.cross_entropy()
    logits = [[1e4, -1e4], [1e4, 1e4 - 1], [0.0, -math.inf]]
    for index, expected in enumerate((0.0, math.log1p(math.exp(-1)), 0.0)):
      value = metric.compute(metric.measure([0], logits[index : index + 1]))
      self.assertAllClose(value, expected)
    value = metric.compute(metric.measure([1], logits[:1]))
    self.assertAllClose(value, 2e4)

  @parameterized.parameters(
      (metrics.accuracy(), 0.0),
      (metrics.cross_entropy(), 0.0),
      (metrics.perplexity(), 1.0),
  )
  def test_without_weight(self, metric, expected):
    sums = metric.measure([0], [[1.0, 2.0]], [0.0])
    self.assertEqual(metric.compute(sums), expected)

  def test_bad_k(self):
    with self.assertRaisesRegex(ValueError, 'k: expected.*got 0'):
      metrics.top_k_accuracy(0)
    with self.assertRaisesRegex(ValueError, r'k: expected \[1, 3\], got 4'):
      metrics.top_k_accuracy(4).measure([0], [[1.0, 2.0, 3.0]])


if __name__ == '__main__':
  absltest.main()
