"""What holds for every per-example loss."""

from __future__ import annotations

import jax
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses
from tests.core.losses import cases


def _value_and_gradient(case, labels, predictions, weights=None):
  """Returns the weighted mean of a loss and its gradient."""
  with tf.GradientTape() as tape:
    tape.watch(predictions)
    values = case(labels, predictions, weights)
    value = losses.mean(values, weights)
  return values, value, tape.gradient(value, predictions)


def _row(nest, index):
  return jax.tree.map(lambda array: array[index], nest)


class PropertiesTest(parameterized.TestCase):

  @parameterized.named_parameters(*((n, n) for n in cases.CASES))
  def test_is_unreduced_and_float32(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    for dtype in (tf.float32, tf.bfloat16):
      values = case(labels, tf.cast(predictions, dtype))
      self.assertEqual(values.shape, [6])
      self.assertEqual(values.dtype, tf.float32)

  @parameterized.named_parameters(*((n, n) for n in cases.CASES))
  def test_bfloat16_equals_float32_of_the_rounded_input(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    half = tf.cast(predictions, tf.bfloat16)
    np.testing.assert_array_equal(
        case(labels, half), case(labels, tf.cast(half, tf.float32))
    )

  @parameterized.named_parameters(*((n, n) for n in cases.CASES))
  def test_eager_equals_graph_equals_xla(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    weights = tf.constant([1.0, 1.0, 0.0, 1.0, 0.5, 1.0])
    labels = tf.nest.map_structure(tf.constant, labels)
    args = (labels, tf.constant(predictions), weights)
    eager = _value_and_gradient(case, *args)
    for jit in (False, True):

      @tf.function(jit_compile=jit)
      def traced(*args):
        return _value_and_gradient(case, *args)

      for expected, actual in zip(eager, traced(*args), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)

  @parameterized.named_parameters(*((n, n) for n in cases.CASES))
  def test_gradient_equals_finite_differences(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch(size=4, dtype=np.float64)
    theoretical, numerical = tf.test.compute_gradient(
        lambda x: case(labels, x), [tf.constant(predictions)], delta=1e-6
    )
    self.assertGreater(np.abs(numerical[0]).max(), 1e-3)
    np.testing.assert_allclose(
        theoretical[0], numerical[0], rtol=1e-4, atol=1e-6
    )

  @parameterized.named_parameters(*((n, n) for n in cases.CASES))
  def test_masked_equals_sliced(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    kept = np.array([True, False, True, True, False, True])
    predictions[~kept] *= 1e3
    _, masked, masked_gradient = _value_and_gradient(
        case, labels, tf.constant(predictions), kept.astype(np.float32)
    )
    _, sliced, sliced_gradient = _value_and_gradient(
        case, _row(labels, kept), tf.constant(predictions[kept])
    )
    np.testing.assert_allclose(masked, sliced, rtol=1e-6)
    np.testing.assert_allclose(
        masked_gradient.numpy()[kept], sliced_gradient, rtol=1e-5, atol=1e-7
    )
    np.testing.assert_array_equal(masked_gradient.numpy()[~kept], 0)

  @parameterized.named_parameters(*((n, n) for n in cases.CASES))
  def test_is_finite_far_out_and_at_zero(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    for far in (
        1e4 * np.sign(predictions),
        np.full_like(predictions, 1e4),
        np.full_like(predictions, -1e4),
        np.zeros_like(predictions),
    ):
      far = tf.constant(far, tf.float32)
      for weights in (None, tf.zeros([6])):
        values, _, gradient = _value_and_gradient(case, labels, far, weights)
        self.assertTrue(np.isfinite(values).all(), values)
        self.assertTrue(np.isfinite(gradient).all(), gradient)


if __name__ == '__main__':
  absltest.main()
