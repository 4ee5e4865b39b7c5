"""Values, gradients and second derivatives are exact and finite.

What a member computes in float32 equals what it computes in float64 wherever
the problem is well-conditioned: near an optimum, far from 0, very small. That
its formula is the right one is tested, with SciPy and by hand, where the member
is. A class that a logit of minus infinity excludes is a class that is not
there; what is NaN stays NaN.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses, metrics
from tests.core.conformance import table_losses, table_metrics

_CASES = table_losses.CASES
# Of another seed than the predictions: norms are straight along those.
_DIRECTIONS = np.random.default_rng(1).normal(size=1000)
_INF = float('inf')


def _mixed(values: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(
      values * tf.constant(_DIRECTIONS[: values.shape[0]], values.dtype)
  )


def _derivatives(
    loss: Callable[..., tf.Tensor], labels: Any, predictions: Any, dtype: Any
) -> dict[str, np.ndarray]:
  """Returns values, gradient, and the second derivative in a direction."""
  x = tf.constant(predictions, dtype)
  if labels.dtype.kind == 'f':
    labels = tf.cast(labels, dtype)
  direction = tf.reshape(
      tf.constant(_DIRECTIONS[: predictions.size], dtype), x.shape
  )
  with tf.GradientTape() as outer:
    outer.watch(x)
    with tf.GradientTape() as inner:
      inner.watch(x)
      values = loss(labels, x)
      total = _mixed(values)
    gradient = inner.gradient(total, x)
    slope = tf.reduce_sum(gradient * direction)
  second = outer.gradient(slope, x, unconnected_gradients='zero')
  results = {'values': values, 'gradient': gradient, 'second': second}
  return {name: value.numpy() for name, value in results.items()}


def _regimes(name: str) -> dict[str, tuple[Any, Any, Any]]:
  """Returns labels and predictions, float32, by what is special of them."""
  case = _CASES[name]
  labels, predictions = case.batch()
  regimes = {'usual': (labels, predictions)}
  is_real = labels.dtype.kind == 'f' and labels.shape == predictions.shape
  if name in _OF_NUMBERS and is_real:
    close = labels + 1e-3 * predictions
    regimes['close'] = (labels, close.astype(np.float32))
    far = (labels + 100, predictions + 100)
    regimes['far from 0'] = tuple(x.astype(np.float32) for x in far)
    regimes['large errors'] = (labels, 1e4 * predictions)
  if name in _OF_DIRECTIONS:
    for scale in (1e-15, 1e15):
      regimes[f'times {scale}'] = (labels, scale * predictions)
  if name in (
      'batch_hard_triplet',
      'euclidean_distance',
      'triplet_margin_loss',
  ):
    offset = np.float32(100) + predictions * np.float32(0.1)
    regimes['far from 0'] = (labels, offset)
  if name in _OF_CLASSES:
    regimes['far from 0'] = (labels, predictions + 1000)
    regimes['sure'] = (labels, 5 * predictions)
  if name in ('kl_divergence', 'jensen_shannon'):
    close = np.log(labels) + 1e-3 * predictions
    regimes['close'] = (labels, close.astype(np.float32))
  return regimes


_OF_NUMBERS = (
    'absolute_error',
    'compose',
    'cosine_distance',
    'euclidean_distance',
    'distillation',
    'huber_loss',
    'log_cosh',
    'quantile',
    'squared_error',
)
# XLA's maxima and minima may leave NaN out.
_WITH_MAXIMA = (
    'batch_hard_triplet',
    'cosine_distance',
    'hinge_loss',
    'huber_loss',
    'multiclass_hinge_loss',
    'quantile',
    'sigmoid_focal_loss',
    'triplet_margin_loss',
)
_OF_DIRECTIONS = ('cosine_distance', 'nt_xent', 'supervised_contrastive')
_OF_CLASSES = ('dice_loss', *table_losses.OF_CLASSES)


class LossesTest(parameterized.TestCase):

  @parameterized.named_parameters(
      (name, name) for name in _CASES if name != 'ctc_loss'
  )
  def test_float32_is_as_exact_as_float64(self, name):
    for regime, (labels, predictions) in _regimes(name).items():
      actual, expected = (
          _derivatives(_CASES[name], labels, predictions, dtype)
          for dtype in (tf.float32, tf.float64)
      )
      for what, value in expected.items():
        self.assertTrue(np.isfinite(value).all(), (regime, what))
        largest = np.abs(value).max(initial=1e-30)
        np.testing.assert_allclose(
            actual[what],
            value,
            1e-5,
            1e-5 * largest,
            err_msg=f'{regime} {what}',
        )

  @parameterized.parameters(
      (None, False), (None, True), ([4], False), ([6, 4], True)
  )
  def test_an_excluded_class_is_a_class_that_is_not_there(
      self, mask_shape, jit_compile
  ):
    """Excluded by minus infinity or, whatever the logit is, by a mask."""
    rest = [0, 2, 3]
    names = table_losses.OF_CLASSES

    def everything(labels, logits, classes, class_mask=None):
      results = {}
      for name in names:
        given = labels[_kind_of_labels(name)]
        loss = _CASES[name].loss
        options = dict(getattr(loss, 'keywords', {}))
        if 'class_weights' in options:
          options['class_weights'] = np.take(options['class_weights'], classes)
          loss = functools.partial(loss, **options)
        if class_mask is not None:
          loss = functools.partial(loss, class_mask=class_mask)
        with tf.GradientTape() as tape:
          tape.watch(logits)
          values = loss(given, logits)
          total = _mixed(values)
        results[name] = values, tape.gradient(total, logits)
      return results

    generator = np.random.default_rng(2)
    without = generator.normal(size=(6, 3)).astype(np.float32)
    probabilities = generator.dirichlet(np.ones(3), 6).astype(np.float32)
    teacher = generator.normal(size=(6, 3)).astype(np.float32)
    integers = generator.integers(0, 3, 6)
    expected = everything(
        {
            'integers': integers,
            'probabilities': probabilities,
            'logits': teacher,
        },
        tf.constant(without),
        rest,
    )
    among = lambda x, fill: np.insert(x, 1, np.float32(fill), axis=1)
    mask, excluded = None, -_INF
    if mask_shape:
      mask = tf.constant(np.broadcast_to(np.arange(4) != 1, mask_shape))
      excluded = np.nan
    function = _traced(everything) if jit_compile else everything
    actual = function(
        {
            'integers': tf.constant(np.take(rest, integers)),
            'probabilities': tf.constant(among(probabilities, 0)),
            'logits': tf.constant(among(teacher, excluded)),
        },
        tf.constant(among(without, excluded)),
        range(4),
        mask,
    )
    for name in names:
      values, gradient = (x.numpy() for x in actual[name])
      np.testing.assert_allclose(values, expected[name][0], 1e-5, 1e-6, name)
      np.testing.assert_array_equal(gradient[:, 1], 0, name)
      np.testing.assert_allclose(
          gradient[:, rest], expected[name][1], 1e-5, 1e-6, err_msg=name
      )

  @parameterized.parameters(False, True)
  def test_sure_answers_and_excluded_labels(self, jit_compile):
    binary = {
        'hinge_loss',
        'sigmoid_binary_cross_entropy',
        'sigmoid_focal_loss',
        'dice_loss__masks',
    }
    limits = {'generalized_cross_entropy': 1 / 0.7}
    of_labels = [
        name
        for name in _OF_CLASSES
        if _CASES[name].wrong and name != 'dice_loss'
    ]

    def everything(answers, logits, label):
      results = {}
      for name in binary:
        loss = getattr(losses, name.split('__')[0])
        with tf.GradientTape() as tape:
          tape.watch(answers)
          values = loss([[1.0, 0.0]], answers)
        results[name] = values, tape.gradient(values, answers)
      for name in of_labels:
        results[name] = getattr(losses, name)(label, logits), 0.0
      return results

    function = _traced(everything) if jit_compile else everything
    sure = tf.constant([[_INF, -_INF]])
    results = function(sure, [[0.0, -_INF]], [1])
    for name in binary:
      values, gradient = results[name]
      np.testing.assert_allclose(values, 0, atol=1e-6, err_msg=name)
      np.testing.assert_array_equal(gradient, 0, name)
    for name in of_labels:
      self.assertAlmostEqual(
          float(results[name][0][0]), limits.get(name, _INF), 5, name
      )

  def test_what_has_weight_0_does_not_count_if_it_is_infinite(self):
    excluded = [[0.0, -_INF]]
    for loss in (losses.softmax_cross_entropy, losses.softmax_focal_loss):
      values = loss([1], excluded, class_weights=[1.0, 0.0])
      np.testing.assert_array_equal(values, [0])
    pairs = losses.symmetric_cross_entropy([1], excluded, alpha=0.0)
    np.testing.assert_allclose(pairs, [4])
    np.testing.assert_array_equal(losses.contrastive([0], [1e30]), [0])
    sure = losses.sigmoid_focal_loss([1.0], [-_INF], alpha=0.0)
    np.testing.assert_array_equal(sure, [0])
    large = tf.constant([[1e30, 1.0]])
    np.testing.assert_allclose(
        losses.activity_penalty(large, l1=1.0, l2=0.0), [1e30]
    )
    np.testing.assert_allclose(
        losses.elastic_net_penalty(large, l1=1.0, l2=0.0), 1e30
    )
    np.testing.assert_array_equal(
        losses.orthogonality_penalty(large, scale=0.0), 0
    )

  @parameterized.parameters(False, True)
  def test_a_nan_stays_a_nan(self, jit_compile):
    poisoned = {}
    for name, case in _CASES.items():
      labels, predictions = case.batch()
      predictions.reshape(6, -1)[2, -1] = np.nan
      poisoned[name] = labels, predictions
    weights = tf.ones([6])

    def everything(batches):
      return {
          name: _CASES[name](*batch, weights)
          for name, batch in batches.items()
          if not jit_compile or name in _WITH_MAXIMA
      }

    function = _traced(everything) if jit_compile else everything
    for name, values in function(poisoned).items():
      self.assertTrue(np.isnan(values.numpy()[2]), name)

  def test_class_losses_keep_every_leading_axis(self):
    for name in table_losses.OF_CLASSES:
      self._check_leading_axes(name)
      self._check_leading_axes(f'{name}__class_mask')

  def _check_leading_axes(self, name):
    case = _CASES[name]
    labels, logits = case.batch()
    expected = case(labels, logits).numpy()
    values = case(
        labels.reshape(2, 3, *labels.shape[1:]), logits.reshape(2, 3, -1)
    )
    np.testing.assert_allclose(
        values, expected.reshape(2, 3), 1e-5, err_msg=name
    )


class MetricsTest(parameterized.TestCase):

  @parameterized.parameters('classes', 'numbers')
  def test_float64_is_not_rounded_before_a_difference(self, kind):
    """No metric of them but the mean depends on what is added to all."""
    line = table_metrics.KINDS[kind]
    metric = line.collection()
    labels, predictions, weights = line.draw(np.random.default_rng(0), 30)
    predictions = np.asarray(predictions, np.float32)
    shifts = [np.float64(2**26)]
    if kind == 'numbers':
      labels, predictions = (np.round(64 * x) for x in (labels, predictions))
      shifts.append(np.int64(2**26))
    expected = metric.compute(metric.measure(labels, predictions, weights))
    for shift in shifts:
      shifted = [
          np.nan_to_num(x).astype(shift.dtype) + shift if moves else x
          for x, moves in ((labels, kind == 'numbers'), (predictions, True))
      ]
      actual = metric.compute(metric.measure(*shifted, weights))
      for name, value in expected.items():
        if name != 'mean':
          np.testing.assert_allclose(actual[name], value, 1e-4, 1e-5, name)

  def test_binary_answers_of_float64_are_not_rounded_to_0(self):
    for name in ('binary_accuracy', 'roc_auc'):
      metric = table_metrics.BINARY[name]()
      sums = metric.measure([1, 0], np.array([1e-60, -1e-60]))
      value = 1.0 if name == 'binary_accuracy' else 0.5
      self.assertEqual(float(metric.compute(sums)), value)
    with self.assertRaisesRegex(ValueError, 'labels'):
      metrics.binary_accuracy().measure(np.array([1 + 1e-12]), [0.0])


def _traced(function: Callable[..., Any]) -> Callable[..., Any]:
  return tf.function(function, jit_compile=True, autograph=False)


def _kind_of_labels(name: str) -> str:
  if name == 'distillation':
    return 'logits'
  labels, _ = _CASES[name].batch()
  return 'probabilities' if labels.ndim > 1 else 'integers'


if __name__ == '__main__':
  absltest.main()
