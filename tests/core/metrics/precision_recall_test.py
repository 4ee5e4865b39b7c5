"""Tests of precision, recall and their kin against scikit-learn.

Covers: rates.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.metrics import cases

AVERAGES = ('macro', 'micro', 'weighted', None)


def _reference(num_classes, average, zero_division, beta, position):
  """Position 0, 1, 2: precision, recall, F-beta of scikit-learn."""

  def reference(case):
    return sklearn.metrics.precision_recall_fscore_support(
        case.labels,
        np.argmax(case.predictions, axis=1),
        beta=beta,
        labels=range(num_classes),
        average=average,
        sample_weight=case.weights.astype(np.float64),
        zero_division=zero_division,
    )[position]

  return reference


def _specificity(num_classes, average):
  """The recall of 'not this class'."""

  def reference(case):
    guesses = np.argmax(case.predictions, axis=1)
    weights = case.weights.astype(np.float64)
    labels = case.labels[:, np.newaxis] == np.arange(num_classes)
    is_guess = guesses[:, np.newaxis] == np.arange(num_classes)
    tn = np.sum(weights[:, np.newaxis] * ~labels * ~is_guess, axis=0)
    negative = np.sum(weights[:, np.newaxis] * ~labels, axis=0)
    if average == 'micro':
      return np.sum(tn) / np.sum(negative)
    values = np.divide(tn, negative, where=negative > 0, out=np.zeros_like(tn))
    if average is None:
      return values
    if average == 'macro':
      return np.mean(values)
    support = np.sum(weights[:, np.newaxis] * labels, axis=0)
    return np.average(values, weights=support)

  return reference


class PrecisionRecallTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(
      num_classes=(2, 3, 7), zero_division=(0.0, 1.0, math.nan)
  )
  @pytest.mark.medium
  def test_is_scikit_learns(self, num_classes, zero_division):
    members = {}
    for average in AVERAGES:
      options = (average, zero_division)
      for name, metric, beta, position in (
          ('precision', metrics.precision(num_classes, *options), 1, 0),
          ('recall', metrics.recall(num_classes, *options), 1, 1),
          ('f1', metrics.f1_score(num_classes, *options), 1, 2),
          ('f2', metrics.fbeta_score(num_classes, 2.0, *options), 2, 2),
      ):
        reference = _reference(num_classes, *options, beta, position)
        members[f'{name} {average}'] = (metric, reference)
    rng = np.random.default_rng(num_classes)
    examples = (
        cases.classes(rng, rng.integers(1, 30), num_classes) for _ in range(23)
    )
    cases.check_against(members, examples, rng)

  @parameterized.product(num_classes=(2, 6), average=AVERAGES)
  def test_specificity_is_recall_of_the_rest(self, num_classes, average):
    members = {
        'specificity': (
            metrics.specificity(num_classes, average),
            _specificity(num_classes, average),
        )
    }
    rng = np.random.default_rng(num_classes)
    examples = (
        cases.classes(rng, rng.integers(2, 30), num_classes) for _ in range(25)
    )
    cases.check_against(members, examples, rng)

  def test_by_hand(self):
    # Labels 0 0 0 1 2, predictions 0 0 1 1 0: class 2 is never predicted.
    logits = tf.one_hot([0, 0, 1, 1, 0], 3)
    expected = {
        metrics.precision: [2 / 3, 1 / 2, 0],
        metrics.recall: [2 / 3, 1, 0],
        metrics.specificity: [1 / 2, 3 / 4, 1],
        metrics.f1_score: [2 / 3, 2 / 3, 0],
    }
    for factory, values in expected.items():
      metric = factory(3, None)
      sums = metric.measure([0, 0, 0, 1, 2], logits)
      self.assertAllClose(metric.compute(sums), values)
      macro = factory(3).compute(sums)
      self.assertAllClose(macro, np.mean(values))

  def test_undefined_stays_exactly_undefined_in_float64_sums(self):
    # A total that is a difference of sums would leave 1e-17 and a ratio of it.
    rng = np.random.default_rng(0)
    weights = rng.random(1000).astype(np.float32)
    guesses = rng.integers(3, size=1000)
    metric = metrics.specificity(3, None, zero_division=1.0)
    zeros = np.zeros(100, np.int32)
    measured = [
        tf.cast(metric.measure(zeros, tf.one_hot(guess, 3), weight), tf.float64)
        for guess, weight in zip(
            np.split(guesses, 10), np.split(weights, 10), strict=True
        )
    ]
    value = metric.compute(cases.add(*measured))
    self.assertEqual(value.dtype, tf.float64)
    self.assertEqual(value[0], 1.0)  # There is no negative of class 0.


if __name__ == '__main__':
  absltest.main()
