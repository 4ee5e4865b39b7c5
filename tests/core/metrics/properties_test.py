"""What every metric must do: one table, crossed with each property."""

from __future__ import annotations

import doctest

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from tests import virtual_devices
from tests.core.metrics import cases

C = 4
CLASSES = {
    'accuracy': metrics.accuracy,
    'average_precision': lambda: metrics.average_precision(C),
    'average_precision_error_bound': (
        lambda: metrics.average_precision_error_bound(C)
    ),
    'balanced_accuracy': lambda: metrics.balanced_accuracy(C),
    'brier': metrics.brier,
    'cohen_kappa': lambda: metrics.cohen_kappa(C, 'linear'),
    'confusion_matrix': lambda: metrics.confusion_matrix(C),
    'cross_entropy': metrics.cross_entropy,
    'expected_calibration_error': metrics.expected_calibration_error,
    'f1': lambda: metrics.f1(C),
    'f_beta': lambda: metrics.f_beta(C, 2.0, None),
    'matthews_corrcoef': lambda: metrics.matthews_corrcoef(C),
    'maximum_calibration_error': metrics.maximum_calibration_error,
    'mean_iou': lambda: metrics.mean_iou(C),
    'perplexity': metrics.perplexity,
    'precision': lambda: metrics.precision(C, 'micro'),
    'recall': lambda: metrics.recall(C, 'weighted'),
    'roc_auc': lambda: metrics.roc_auc(C),
    'roc_auc_error_bound': lambda: metrics.roc_auc_error_bound(C, None),
    'specificity': lambda: metrics.specificity(C, None),
    'top_k_accuracy': lambda: metrics.top_k_accuracy(2),
}
BINARY = {
    'binary_accuracy': metrics.binary_accuracy,
    'binary_f1': metrics.binary_f1,
    'binary_f_beta': lambda: metrics.binary_f_beta(0.5, [0.2, 0.8]),
    'binary_precision': lambda: metrics.binary_precision([0.5, 0.7]),
    'binary_recall': metrics.binary_recall,
    'binary_specificity': metrics.binary_specificity,
    'roc_auc': metrics.roc_auc,
    'average_precision': metrics.average_precision,
}
NUMBERS = {
    'explained_variance': metrics.explained_variance,
    'mean': metrics.mean,
    'mean_absolute_error': metrics.mean_absolute_error,
    'mean_squared_error': metrics.mean_squared_error,
    'r2': metrics.r2,
    'root_mean_squared_error': metrics.root_mean_squared_error,
}
KINDS = (
    ('classes', CLASSES, lambda rng, size: cases.classes(rng, size, C)),
    ('binary', BINARY, cases.binary),
    ('numbers', NUMBERS, lambda rng, size: cases.numbers(rng, size, 2)),
)


def _collection(table):
  return metrics.collection({name: make() for name, make in table.items()})


class PropertiesTest(parameterized.TestCase, tf.test.TestCase):

  def _assert_same(self, actual, expected, tolerance=1e-6):
    tf.nest.assert_same_structure(actual, expected)
    for name, value in expected.items():
      self.assertAllClose(actual[name], value, tolerance, tolerance, name)

  def test_the_table_holds_every_public_name(self):
    known = {*CLASSES, *BINARY, *NUMBERS, 'Metric', 'collection'}
    self.assertEqual(known, set(metrics.__all__))

  def test_docstrings_are_whole_and_their_examples_run(self):
    for name in metrics.__all__:
      documented = getattr(metrics, name)
      examples = doctest.DocTestFinder(recurse=False).find(
          documented, name, globs={'tf': tf}
      )
      for example in examples:
        result = doctest.DocTestRunner().run(example)
        self.assertEqual(result.failed, 0, name)
      if name != 'Metric':
        for part in ('Returns:', 'Raises:', 'Reference:', 'Example:'):
          self.assertIn(part, documented.__doc__, name)
        self.assertGreater(result.attempted, 1, name)

  @parameterized.parameters(
      (metrics.precision, 'num_classes'),
      (metrics.roc_auc, 'num_classes'),
      (metrics.top_k_accuracy, 'k'),
      (metrics.expected_calibration_error, 'num_bins'),
  )
  def test_numbers_that_are_not_whole(self, factory, argument):
    with self.assertRaisesRegex(TypeError, f'{argument}: .*integer, got 2.5'):
      factory(**{argument: 2.5})

  @parameterized.named_parameters(*KINDS)
  def test_factories_give_the_same_measure_again(self, table, make_case):
    del make_case
    for name, make in table.items():
      self.assertIs(make().measure, make().measure, name)

  @parameterized.named_parameters(*KINDS)
  def test_batches_on_replicas_are_the_whole(self, table, make_case):
    metric = _collection(table)
    case = make_case(np.random.default_rng(0), 100)
    expected = metric.compute(metric.measure(*case.real()))
    # 7 batches for 3 replicas: all unequal, one replica often without any.
    bounds = np.sort(np.random.default_rng(1).integers(101, size=20))
    parts = case.slices(bounds)
    size = max(len(part.labels) for part in parts)
    strategy = virtual_devices.mirrored(3)

    @tf.function
    def step(labels, predictions, weights):
      def on_replica(*batch):
        context = tf.distribute.get_replica_context()
        return context.all_reduce('SUM', metric.measure(*batch))

      per_replica = strategy.run(on_replica, (labels, predictions, weights))
      return tf.nest.map_structure(
          lambda sums: strategy.experimental_local_results(sums)[0], per_replica
      )

    def distribute(arrays):
      return strategy.experimental_distribute_values_from_function(
          lambda context: tf.constant(
              arrays[context.replica_id_in_sync_group]
          )
      )

    sums = []
    for index in range(0, 21, 3):
      padded = [_pad(part, size) for part in parts[index:index + 3]]
      fields = zip(*padded, strict=True)
      sums.append(step(*(distribute(field) for field in fields)))
    self._assert_same(metric.compute(cases.add(*sums)), expected)
    doubles = tf.nest.map_structure(
        lambda leaf: tf.cast(leaf, tf.float64), sums
    )
    values = metric.compute(cases.add(*doubles))
    self._assert_same(values, expected)
    for name, value in values.items():
      self.assertEqual(value.dtype, tf.float64, name)

  @parameterized.named_parameters(*KINDS)
  def test_eager_graph_and_xla_are_equal(self, table, make_case):
    metric = _collection(table)
    case = make_case(np.random.default_rng(2), 50)

    def evaluate(*batch):
      sums = metric.measure(*batch)
      return sums, metric.compute(sums)

    graph = tf.function(evaluate)
    xla = tf.function(evaluate, jit_compile=True)
    for dtype in (tf.float32, tf.bfloat16):
      batch = case._replace(predictions=tf.cast(case.predictions, dtype))
      sums, expected = evaluate(*batch)
      for leaf in tf.nest.flatten(sums):
        self.assertEqual(leaf.dtype, tf.float32)
      self._assert_same(graph(*batch)[1], expected)
      self._assert_same(xla(*batch)[1], expected)

  @parameterized.named_parameters(*KINDS)
  def test_masked_is_sliced(self, table, make_case):
    metric = _collection(table)
    for seed in range(3):
      case = make_case(np.random.default_rng(seed), 40)
      self.assertFalse(np.all(np.isfinite(case.predictions)))
      expected = metric.measure(*case.real())
      self._assert_same(metric.measure(*case), expected)

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
    if table is not NUMBERS:
      labels = case.labels.copy()
      labels[3] = C
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
    labels, predictions, weights = make_case(
        np.random.default_rng(5), 8
    ).real()
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
      if table is not NUMBERS:
        with self.assertRaisesRegex(ValueError, 'predictions', msg=name):
          measure(labels, predictions[..., np.newaxis], weights)
      if table is CLASSES:
        with self.assertRaisesRegex(TypeError, 'labels', msg=name):
          measure(labels.astype(np.float32), predictions, weights)


def _pad(case, size):
  """Appends rubbish of weight 0."""
  missing = size - len(case.labels)
  shape = [missing, *case.predictions.shape[1:]]
  labels = np.full([missing, *case.labels.shape[1:]], 99, case.labels.dtype)
  rubbish = np.full(shape, np.nan, np.float32)
  return cases.Case(
      np.concatenate([case.labels, labels]),
      np.concatenate([case.predictions, rubbish]),
      np.concatenate([case.weights, np.zeros(missing, np.float32)]),
  )


if __name__ == '__main__':
  absltest.main()
