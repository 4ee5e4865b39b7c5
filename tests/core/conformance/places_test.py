"""Metrics of labels and weights of every rank: each place is an example.

Every metric of the table is tried, those of a kind in one collection; what must
be refused is tried of each measure alone.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.core.conformance import table_metrics
from tests.core.metrics import cases

_KINDS = tuple((name, name) for name in table_metrics.KINDS)
_SHAPES = ((4, 6), (4, 3, 2))
# Each position that has no weight of its own is an output of theirs.
_BY_OUTPUT = ('explained_variance', 'r2_score')
# For labels [4, 6, ...] none of these is the shape or its beginning.
_WRONG = ([], [1], [6], [4, 1], [1, 6], [6, 4], [4, 5], [4, 6, 1], [4, 6, 6])
_ERRORS = (ValueError, tf.errors.InvalidArgumentError)


def _metric(kind):
  return table_metrics.KINDS[kind].collection()


def _draw(kind, seed=0):
  return table_metrics.KINDS[kind].draw(np.random.default_rng(seed), 24)


def _whole(kind):
  return table_metrics.KINDS[kind].whole(np.random.default_rng(2), 24)


def _values(metric, case):
  return metric.compute(metric.measure(*case))


def _repeated(weights, like):
  missing = like.ndim - weights.ndim
  column = weights.reshape(weights.shape + (1,) * missing)
  return np.broadcast_to(column, like.shape)


def _traced(measure, *arguments):
  """Traces a measure for sizes, but not ranks, that are unknown."""
  return tf.function(
      measure,
      input_signature=[
          tf.TensorSpec([None] * np.ndim(x), np.asarray(x).dtype)
          for x in arguments
      ],
      autograph=False,
  )


class PlacesTest(parameterized.TestCase):

  def _assert_same(self, actual, expected, without=()):
    self.assertEqual(actual.keys(), expected.keys())
    for name in expected.keys() - set(without):
      np.testing.assert_allclose(
          actual[name], expected[name], 1e-5, 1e-6, err_msg=name
      )

  @parameterized.named_parameters(*_KINDS)
  def test_places_are_examples_and_masked_is_sliced(self, kind):
    metric, case = _metric(kind), _draw(kind)
    expected = _values(metric, case.real())
    for shape in _SHAPES:
      self._assert_same(_values(metric, case.shaped(*shape)), expected)

  @parameterized.named_parameters(*_KINDS)
  def test_a_weight_of_leading_axes_is_that_of_all_places(self, kind):
    metric = _metric(kind)
    rng = np.random.default_rng(1)
    for shape in ((4,), (4, 3)):
      labels, predictions, like = _whole(kind).shaped(4, 3, 2)
      weights = cases.random_weights(rng, math.prod(shape)).reshape(shape)
      weights.flat[-1] = 0
      repeated = _repeated(weights, like)
      labels[repeated == 0] = 99
      predictions[repeated == 0] = np.nan
      self._assert_same(
          _values(metric, (labels, predictions, weights)),
          _values(metric, (labels, predictions, repeated)),
          without=_BY_OUTPUT if kind == 'numbers' else (),
      )

  @parameterized.named_parameters(*_KINDS)
  def test_no_weights_count_examples_equally(self, kind):
    metric = _metric(kind)
    whole = _whole(kind)
    case = whole.shaped(4, 6)
    self._assert_same(
        _values(metric, (case.labels, case.predictions)),
        _values(metric, case._replace(weights=np.ones(4))),
    )
    self._assert_same(
        _values(metric, (case.labels, case.predictions)),
        _values(metric, whole._replace(weights=np.ones(24))),
        without=_BY_OUTPUT if kind == 'numbers' else (),
    )

  @parameterized.named_parameters(*_KINDS)
  def test_sums_add_up_in_a_graph_of_unknown_sizes(self, kind):
    metric, flat = _metric(kind), _draw(kind, seed=3)
    case = flat.shaped(6, 4)
    measure = _traced(metric.measure, *case)
    sums = [measure(*part) for part in case.slices(np.array([1, 1, 4]))]
    self._assert_same(
        metric.compute(cases.add(*sums)), _values(metric, flat.real())
    )
    # The same graph takes other sizes; none of them is built in.
    self._assert_same(
        metric.compute(measure(*flat.shaped(2, 12))),
        _values(metric, flat.real()),
    )

  def test_reals_may_have_a_weight_each(self):
    """Of numbers [4, 6, 2], as of numbers [48]."""
    flat = cases.numbers(np.random.default_rng(5), 48)
    self._assert_same(
        _values(_metric('numbers'), flat.shaped(4, 6, 2)),
        _values(_metric('numbers'), flat.real()),
    )

  @parameterized.named_parameters(
      (name, name) for name in table_metrics.MEASURES
  )
  def test_other_weights_are_refused(self, name):
    measure, kind = table_metrics.MEASURES[name]
    case = kind.whole(np.random.default_rng(0), 24).shaped(4, 6)
    labels, predictions = (tf.constant(x) for x in case[:2])
    measure = functools.partial(measure, labels, predictions)
    for shape in _WRONG:
      with self.subTest(shape=shape):
        weights = tf.ones(shape)
        with self.assertRaisesRegex(ValueError, '^weights: '):
          measure(weights)
        with self.assertRaisesRegex(ValueError, 'weights: '):
          tf.function(measure, autograph=False)(weights)

  @parameterized.named_parameters(
      (name, name) for name in table_metrics.MEASURES
  )
  def test_other_weights_of_unknown_sizes_are_refused(self, name):
    measure, kind = table_metrics.MEASURES[name]
    labels, predictions, _ = kind.whole(np.random.default_rng(0), 24).shaped(
        4, 6
    )
    for good in (np.float32([2, 1, 0, 1]), np.ones([4, 6], np.float32)):
      traced = _traced(measure, labels, predictions, good)
      tf.nest.map_structure(
          functools.partial(np.testing.assert_allclose, rtol=1e-5),
          traced(labels, predictions, good),
          measure(labels, predictions, good),
      )
      for shape in _WRONG:
        if len(shape) == good.ndim:
          with (
              self.subTest(shape=shape),
              self.assertRaisesRegex(_ERRORS, 'weights'),
          ):
            traced(labels, predictions, tf.ones(shape))

  @parameterized.named_parameters(
      (name, name) for name in table_metrics.MEASURES
  )
  def test_labels_of_rank_1_are_not_spread(self, name):
    measure, kind = table_metrics.MEASURES[name]
    case = kind.whole(np.random.default_rng(0), 6)
    graph = (
        tf.function(measure, autograph=False)
        .get_concrete_function(*(tf.constant(field) for field in case))
        .graph
    )
    types = [operation.type for operation in graph.get_operations()]
    self.assertNoCommonElements(types, ['Assert', 'BroadcastTo', 'Shape'])


if __name__ == '__main__':
  absltest.main()
