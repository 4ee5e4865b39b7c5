"""Properties of every metric, besides those of tests/core/conformance."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.conformance import table_metrics

KINDS = tuple(
    (name, kind.table, kind.draw) for name, kind in table_metrics.KINDS.items()
)


def _collection(table):
  return metrics.collection({name: make() for name, make in table.items()})


class PropertiesTest(parameterized.TestCase, tf.test.TestCase):

  def _assert_same(self, actual, expected, tolerance=1e-6):
    tf.nest.assert_same_structure(actual, expected)
    for name, value in expected.items():
      self.assertAllClose(actual[name], value, tolerance, tolerance, name)

  @parameterized.named_parameters(*KINDS)
  def test_factories_give_the_same_measure_again(self, table, make_case):
    del make_case
    for name, make in table.items():
      self.assertIs(make().measure, make().measure, name)

  @parameterized.named_parameters(*KINDS)
  def test_no_weights_are_ones(self, table, make_case):
    metric = _collection(table)
    labels, predictions, _ = make_case(np.random.default_rng(3), 30).real()
    ones = np.ones(len(labels), np.int64)
    self._assert_same(
        metric.measure(labels, predictions),
        metric.measure(labels, predictions, ones),
    )

  @parameterized.named_parameters(*KINDS)
  def test_wrong_examples_are_not_dropped_in_silence(self, table, make_case):
    case = make_case(np.random.default_rng(4), 40).real()
    predictions = case.predictions.copy()
    predictions[3] = np.nan
    wrong = [case._replace(predictions=predictions)]
    if table is not table_metrics.NUMBERS:
      labels = case.labels.copy()
      labels[3] = table_metrics.C
      wrong.append(case._replace(labels=labels))
    for name, make in table.items():
      metric = make()
      for batch in wrong:
        sums = tf.function(metric.measure)(*batch)
        self.assertTrue(np.all(np.isnan(metric.compute(sums))), name)
      if len(wrong) > 1:
        with self.assertRaisesRegex(ValueError, 'labels: expected values'):
          metric.measure(*wrong[1])

  @parameterized.named_parameters(*KINDS)
  def test_bad_calls(self, table, make_case):
    labels, predictions, weights = make_case(np.random.default_rng(5), 8).real()
    for name, make in table.items():
      measure = make().measure
      with self.assertRaisesRegex(ValueError, 'weights', msg=name):
        measure(labels, predictions, weights[:-1])
      with self.assertRaisesRegex(ValueError, 'weights', msg=name):
        measure(labels, predictions, weights[:, np.newaxis])
      if name == 'mean':
        continue
      with self.assertRaisesRegex(ValueError, 'predictions', msg=name):
        measure(labels, predictions[:-1], weights)
      with self.assertRaisesRegex(ValueError, 'labels|predictions', msg=name):
        measure(labels[:, np.newaxis], predictions, weights)
      if table is not table_metrics.NUMBERS:
        with self.assertRaisesRegex(ValueError, 'predictions', msg=name):
          measure(labels, predictions[..., np.newaxis], weights)
      if table is table_metrics.CLASSES:
        with self.assertRaisesRegex(TypeError, 'labels', msg=name):
          measure(labels.astype(np.float32), predictions, weights)


if __name__ == '__main__':
  absltest.main()
