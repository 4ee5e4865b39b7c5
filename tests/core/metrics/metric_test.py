"""Tests of metrics as pairs of functions and of their collections."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from core.metrics import metric


class CollectionTest(parameterized.TestCase, tf.test.TestCase):

  def test_what_is_shared_is_measured_once(self):
    calls = []

    def measure(labels, predictions, weights=None):
      calls.append(labels)
      return tf.reduce_sum(predictions)

    shared = metrics.Metric(measure, lambda total: total)
    together = metrics.collection({
        'sum': shared,
        'double': shared._replace(compute=lambda total: 2 * total),
        'accuracy': metrics.accuracy(),
    })
    sums = together.measure([0], [[1.0, 2.0]])
    self.assertLen(calls, 1)
    self.assertLen(sums, 2)
    self.assertEqual(
        together.compute(sums), {'sum': 3.0, 'double': 6.0, 'accuracy': 0.0}
    )

  def test_all_of_the_confusion_matrix_is_one_matrix(self):
    members = {
        'f1': metrics.f1_score(3),
        'matrix': metrics.confusion_matrix(3),
        'recall': metrics.recall(np.int64(3), None),
        'kappa': metrics.cohen_kappa(3),
        'other': metrics.recall(4),
    }
    owners = {member.measure for member in members.values()}
    self.assertLen(owners, 2)

  def test_collections_nest(self):
    inner = metrics.collection({'accuracy': metrics.accuracy()})
    outer = metrics.collection({'validation': inner, 'top': metrics.accuracy()})
    sums = outer.measure([1], [[1.0, 2.0]])
    self.assertEqual(
        outer.compute(sums), {'validation': {'accuracy': 1.0}, 'top': 1.0}
    )

  def test_the_type_tells_a_collection(self):
    together = metrics.collection({'accuracy': metrics.accuracy()})
    self.assertIsInstance(together, metrics.Collection)
    self.assertNotIsInstance(metrics.accuracy(), metrics.Collection)
    measure, compute = together
    self.assertEqual(compute(measure([1], [[1.0, 2.0]])), {'accuracy': 1.0})

  def test_a_later_change_of_the_mapping_does_not_matter(self):
    members = {'accuracy': metrics.accuracy()}
    together = metrics.collection(members)
    members['mean'] = metrics.mean()
    self.assertLen(together.compute(together.measure([0], [[2.0, 1.0]])), 1)

  def test_bad_members(self):
    with self.assertRaisesRegex(ValueError, 'metrics: .*at least one'):
      metrics.collection({})
    with self.assertRaisesRegex(TypeError, "metrics: 'accuracy' is .*call"):
      metrics.collection({'accuracy': metrics.accuracy})


class DivideTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(
      dtype=(tf.float32, tf.float64), undefined=(0.0, 1.0, math.nan)
  )
  def test_undefined(self, dtype, undefined):
    numerator = tf.constant([0.0, 3.0, 1.0], dtype)
    denominator = tf.constant([0.0, 0.0, 4.0], dtype)
    value = metric.divide(numerator, denominator, undefined)
    self.assertEqual(value.dtype, dtype)
    self.assertAllEqual(np.isnan(value), [math.isnan(undefined)] * 2 + [False])
    self.assertAllEqual(value[2], 0.25)

  def test_nan_is_not_taken_for_undefined(self):
    self.assertAllEqual(np.isnan(metric.divide([1.0], [math.nan])), [True])


if __name__ == '__main__':
  absltest.main()
