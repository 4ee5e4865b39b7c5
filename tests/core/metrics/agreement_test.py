"""Tests of agreement against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import sklearn.metrics
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.metrics import cases


def _of_guesses(function, **options):
  def reference(case):
    guesses = np.argmax(case.predictions, axis=1)
    weights = case.weights.astype(np.float64)
    return function(case.labels, guesses, sample_weight=weights, **options)

  return reference


def _members(num_classes):
  labels = range(num_classes)
  kappas = {
      f'kappa {weighting}': (
          metrics.cohen_kappa(num_classes, weighting, zero_division=math.nan),
          _of_guesses(
              sklearn.metrics.cohen_kappa_score,
              labels=labels,
              weights=weighting,
          ),
      )
      for weighting in (None, 'linear', 'quadratic')
  }
  return kappas | {
      'balanced': (
          metrics.balanced_accuracy(num_classes),
          _of_guesses(sklearn.metrics.balanced_accuracy_score),
      ),
      'matthews': (
          metrics.matthews_corrcoef(num_classes),
          _of_guesses(sklearn.metrics.matthews_corrcoef),
      ),
      'iou': (
          metrics.mean_iou(num_classes, zero_division=0.0),
          _of_guesses(
              sklearn.metrics.jaccard_score,
              labels=labels,
              average='macro',
              zero_division=0,
          ),
      ),
      'iou of present': (metrics.mean_iou(num_classes), _mean_iou_of_present),
  }


def _mean_iou_of_present(case):
  guesses = np.argmax(case.predictions, axis=1)
  weights = case.weights.astype(np.float64)
  ratios = []
  for index in range(case.predictions.shape[1]):
    either = (case.labels == index) | (guesses == index)
    both = (case.labels == index) & (guesses == index)
    if np.any(either):
      ratios.append(np.sum(weights * both) / np.sum(weights * either))
  return np.mean(ratios)


class AgreementTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(2, 3, 4, 9)
  def test_is_scikit_learns(self, num_classes):
    rng = np.random.default_rng(num_classes)
    examples = (
        cases.classes(rng, rng.integers(1, 40), num_classes) for _ in range(50)
    )
    cases.check_against(_members(num_classes), examples, rng)

  def test_by_hand(self):
    # The matrix is [[1, 1], [0, 2]].
    logits = tf.one_hot([0, 1, 1, 1], 2)
    expected = {
        metrics.balanced_accuracy: 3 / 4,
        metrics.mean_iou: (1 / 2 + 2 / 3) / 2,
        metrics.matthews_corrcoef: 2 / math.sqrt(12),
        metrics.cohen_kappa: 1 - (1 / 4) / (1 / 2),
    }
    for factory, value in expected.items():
      metric = factory(2)
      sums = metric.measure([0, 0, 1, 1], logits)
      self.assertAllClose(metric.compute(sums), value)

  @parameterized.parameters(
      (metrics.balanced_accuracy(3), 1.0),
      (metrics.mean_iou(3), 1.0),
      (metrics.matthews_corrcoef(3), 0.0),
      (metrics.cohen_kappa(3), 0.0),
      (metrics.cohen_kappa(3, zero_division=1.0), 1.0),
  )
  def test_one_class_only(self, metric, expected):
    sums = metric.measure([1, 1], tf.one_hot([1, 1], 3), [1 / 3, 0.7])
    self.assertAllClose(metric.compute(sums), expected)

  def test_matthews_of_large_counts_keeps_its_digits(self):
    matrix = np.array([[500_123, 499_877], [499_900, 500_100]], np.float32)
    labels = np.repeat([0, 0, 1, 1], matrix.ravel().astype(int))
    guesses = np.repeat([0, 1, 0, 1], matrix.ravel().astype(int))
    expected = sklearn.metrics.matthews_corrcoef(labels, guesses)
    value = metrics.matthews_corrcoef(2).compute(matrix)
    self.assertAllClose(value, expected, rtol=1e-5, atol=0)

  @parameterized.parameters(
      (metrics.balanced_accuracy, (1,), 'num_classes'),
      (metrics.mean_iou, (1,), 'num_classes'),
      (metrics.matthews_corrcoef, (0,), 'num_classes'),
      (metrics.cohen_kappa, (1,), 'num_classes'),
      (metrics.cohen_kappa, (3, 'cubic'), 'weighting.*linear, quadratic'),
      (metrics.cohen_kappa, (3, None, -1.0), 'zero_division'),
      (metrics.mean_iou, (3, 2.0), 'zero_division'),
  )
  def test_bad_arguments(self, factory, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      factory(*arguments)


if __name__ == '__main__':
  absltest.main()
