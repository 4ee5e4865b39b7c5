"""Tests of metrics of one named output."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests.core.conformance import table_metrics
from tests.core.metrics import cases

_LABELS = {'animal': [0, 1, 1], 'age': [[1.0, 2.0], [3.0, 4.0], [5.0, np.nan]]}
_OUTPUTS = {
    'animal': [[2.0, 1.0], [3.0, 1.0], [1.0, 3.0]],
    'age': [[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]],
    'alarm': [1.0, 2.0, 6.0],
    'seen': [1.0, 1.0, 0.0],
}
_KNOWN = [[True, True], [True, True], [False, False]]


def _counted(calls):
  measure, compute = metrics.recall(2)

  def counted(labels, predictions, weights=None):
    calls.append(1)
    return measure(labels, predictions, weights)

  return metrics.Metric(counted, compute)


class NamedTest(parameterized.TestCase, tf.test.TestCase):

  def _value(self, metric, labels=_LABELS, outputs=_OUTPUTS, weights=None):
    """The value, the same eager and in a graph."""
    value = metric.compute(metric.measure(labels, outputs, weights))
    measure = tf.function(metric.measure, autograph=False)
    in_graph = metric.compute(
        measure(*(_tensors(part) for part in (labels, outputs, weights)))
    )
    self.assertAllClose(in_graph, value)
    return value

  @parameterized.named_parameters((name, name) for name in table_metrics.KINDS)
  def test_every_metric_measures_its_output(self, kind):
    line = table_metrics.KINDS[kind]
    metric = line.collection()
    named = metrics.collection({
        name: metrics.of(make(), 'output', labels='target', weights='known')
        for name, make in line.table.items()
    })
    case = line.draw(np.random.default_rng(0), 30)
    sums = named.measure(
        {'target': case.labels},
        {'output': case.predictions, 'known': case.weights},
    )
    # As many measures as without names.
    self.assertLen(sums, len(metric.measure(*case)))
    expected = metric.compute(metric.measure(*case.real()))
    for name, value in named.compute(sums).items():
      self.assertAllClose(value, expected[name], 1e-5, 1e-6, name)

  def test_labels(self):
    accuracy = metrics.accuracy()
    self.assertAllClose(self._value(metrics.of(accuracy, 'animal')), 2 / 3)
    for labels in ({'kind': [0, 0, 0]}, [0, 0, 0]):
      metric = metrics.of(accuracy, 'animal', labels='kind')
      self.assertAllClose(self._value(metric, labels), 2 / 3)
    self.assertAllClose(
        self._value(metrics.of(accuracy, 'animal'), [0, 0, 0]), 2 / 3
    )

  @parameterized.parameters(None, ({},), (_LABELS,))
  def test_a_metric_that_needs_no_labels(self, labels):
    alarm = metrics.of(metrics.mean(), 'alarm')
    self.assertAllClose(self._value(alarm, labels), 3.0)
    with self.assertRaisesRegex(ValueError, 'labels: expected.*None'):
      metrics.of(metrics.mean_squared_error(), 'alarm').measure(
          labels, _OUTPUTS
      )

  def test_weights_multiply(self):
    for weights, expected in ((None, 1.5), ([3, 1, 5], 1.25)):
      metric = metrics.of(metrics.mean(), 'alarm', weights='seen')
      self.assertAllClose(self._value(metric, weights=weights), expected)
    labels = {**_LABELS, 'known': _KNOWN}
    error = metrics.of(metrics.mean_squared_error(), 'age', weights='known')
    for weights, expected in (
        (None, 0.25),  # Each place counts, of those that are known.
        ([3.0, 1.0, 1.0], 1 / 8),
        ([[1, 1], [0, 2], [7, 7]], 1 / 2),
    ):
      self.assertAllClose(self._value(error, labels, weights=weights), expected)
    # Weights of places times those of examples.
    seen = metrics.of(metrics.mean_squared_error(), 'age', weights='seen')
    for weights, expected in ((None, 0.25), ([[1, 1], [0, 2], [7, 7]], 1 / 2)):
      self.assertAllClose(self._value(seen, weights=weights), expected)

  def test_predictions_come_before_labels(self):
    labels = {**_LABELS, 'seen': [0.0, 0.0, 1.0]}
    metric = metrics.of(metrics.mean(), 'alarm', weights='seen')
    self.assertAllClose(self._value(metric, labels), 1.5)

  @parameterized.parameters(
      ([1.0, 1.0, 0.0], [2.0, 1.0, np.nan]),
      ([1.0, 1.0, np.nan], [2.0, 1.0, 0.0]),
  )
  def test_nan_of_weight_0_does_not_matter(self, seen, weights):
    outputs = {'alarm': [1.0, 4.0, np.nan], 'seen': seen}
    metric = metrics.of(metrics.mean(), 'alarm', weights='seen')
    self.assertAllClose(self._value(metric, None, outputs, weights), 2.0)

  @parameterized.parameters(
      ([2],), ([1],), ([3, 1],), ([1, 3],), ([2, 3],), ([],)
  )
  def test_other_shapes_of_weights_are_refused(self, shape):
    metric = metrics.of(metrics.mean(), 'age', weights='seen')
    outputs = {'age': tf.ones([3, 2]), 'seen': tf.ones(shape)}
    for weights in (None, tf.ones([3]), tf.ones([3, 2])):
      with self.assertRaisesRegex(ValueError, '^weights'):
        metric.measure(None, outputs, weights)
    measure = tf.function(
        lambda x, w: metric.measure(None, {**outputs, 'seen': x}, w),
        input_signature=[
            tf.TensorSpec([None] * len(shape)),
            tf.TensorSpec([None, None]),
        ],
        autograph=False,
    )
    with self.assertRaisesRegex(
        (ValueError, tf.errors.InvalidArgumentError), 'weights'
    ):
      measure(outputs['seen'], tf.ones([3, 2]))

  def test_what_is_shared_is_measured_once(self):
    calls = []
    counted = _counted(calls)
    other = counted._replace(compute=metrics.f1_score(2).compute)
    together = metrics.collection({
        'recall': metrics.of(counted, 'animal'),
        'f1': metrics.of(other, 'animal'),
        'of seen': metrics.of(counted, 'animal', weights='seen'),
        'f1 of seen': metrics.of(other, 'animal', weights='seen'),
    })
    values = self._value(together)
    self.assertLen(calls, 4)  # Two, eager and in a graph.
    self.assertAllClose(values['recall'], 3 / 4)
    self.assertAllClose(values['of seen'], 1 / 2)

  def test_collections_and_nested_outputs(self):
    both = metrics.collection(
        {'accuracy': metrics.accuracy(), 'matrix': metrics.confusion_matrix(2)}
    )
    metric = metrics.of(metrics.of(both, 'animal'), 'heads')
    self.assertIsInstance(metric, metrics.Collection)
    self.assertNotIsInstance(
        metrics.of(metrics.accuracy(), 'animal'), metrics.Collection
    )
    values = self._value(metric, {'heads': _LABELS}, {'heads': _OUTPUTS})
    self.assertAllClose(values['accuracy'], 2 / 3)
    self.assertAllClose(values['matrix'], [[1, 0], [1, 1]])

  def test_sums_add_up(self):
    case = cases.classes(np.random.default_rng(0), 20, 3)
    metric = metrics.of(metrics.f1_score(3), 'kind', weights='known')
    sums = [
        metric.measure(part.labels, {'kind': part[1], 'known': part[2]})
        for part in case.slices(np.array([0, 7]))
    ]
    plain = metrics.f1_score(3)
    self.assertAllClose(
        metric.compute(cases.add(*sums)), plain.compute(plain.measure(*case))
    )

  @parameterized.named_parameters(
      ('predictions', {'name': 'anima'}, "predictions: .*'anima'.*'animal'"),
      ('labels', {'labels': 'kind'}, "labels: .*'kind'.*'animal', 'age'"),
      ('weights', {'weights': 'know'}, "weights: .*'know'.*'seen'.*'age'"),
  )
  def test_unknown_names(self, arguments, message):
    metric = metrics.of(metrics.mean(), **{'name': 'animal', **arguments})
    with self.assertRaisesRegex(ValueError, message):
      metric.measure(_LABELS, _OUTPUTS)

  def test_no_labels_of_a_name(self):
    metric = metrics.of(metrics.mean(), 'alarm', labels='alarm')
    with self.assertRaisesRegex(ValueError, "labels: unknown 'alarm'.*none"):
      metric.measure(None, _OUTPUTS)

  @parameterized.parameters(None, ([1.0, 2.0],), (tf.ones([2]),))
  def test_predictions_that_are_no_mapping(self, predictions):
    metric = metrics.of(metrics.mean(), 'alarm')
    with self.assertRaisesRegex(ValueError, "predictions: .*mapping.*'alarm'"):
      metric.measure(_LABELS, predictions)

  def test_a_mapping_without_of(self):
    for labels, predictions, name in (
        (_LABELS, _OUTPUTS['animal'], 'labels'),
        (_LABELS['animal'], _OUTPUTS, 'predictions'),
    ):
      with self.assertRaisesRegex(ValueError, rf'^{name}: .*metrics\.of'):
        metrics.accuracy().measure(labels, predictions)


def _tensors(nest):
  if isinstance(nest, dict):
    return {name: _tensors(value) for name, value in nest.items()}
  return None if nest is None else tf.constant(nest)


if __name__ == '__main__':
  absltest.main()
