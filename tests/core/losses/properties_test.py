"""What holds for every per-example loss."""

from __future__ import annotations

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


_EVERY_LOSS = parameterized.named_parameters(*((n, n) for n in cases.CASES))
_NOT_OF_EXAMPLES = {
    'elastic_net_penalty',
    'l1_penalty',
    'l2_penalty',
    'mean',
    'orthogonality_penalty',
    'total',
    'weighted_sum',
}


class PropertiesTest(parameterized.TestCase):

  def test_no_loss_is_left_out(self):
    tried = {name.split('__')[0] for name in cases.CASES}
    self.assertEqual(tried | _NOT_OF_EXAMPLES, set(losses.__all__))

  @_EVERY_LOSS
  def test_is_unreduced_and_float32(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    for dtype in (tf.float32, tf.bfloat16):
      values = case(labels, tf.cast(predictions, dtype))
      self.assertEqual(values.shape, [6])
      self.assertEqual(values.dtype, tf.float32)

  @_EVERY_LOSS
  def test_bfloat16_equals_float32_of_the_rounded_input(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    half = tf.cast(predictions, tf.bfloat16)
    np.testing.assert_array_equal(
        case(labels, half), case(labels, tf.cast(half, tf.float32))
    )

  @_EVERY_LOSS
  def test_eager_equals_graph_equals_xla(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    weights = tf.constant([1.0, 1.0, 0.0, 1.0, 0.5, 1.0])
    args = (tf.constant(labels), tf.constant(predictions), weights)
    eager = _value_and_gradient(case, *args)
    any_size = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in args]
    for options in (
        {},
        {'input_signature': any_size},
        {'jit_compile': True},
    ):

      @tf.function(**options)
      def traced(*args):
        return _value_and_gradient(case, *args)

      for expected, actual in zip(eager, traced(*args), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)

  @_EVERY_LOSS
  def test_gradient_equals_finite_differences(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch(dtype=np.float64)
    generator = np.random.default_rng(1)
    weights = generator.uniform(0.5, 2.0, 6)
    _, _, gradient = _value_and_gradient(
        case, labels, tf.constant(predictions), weights
    )
    step = case.tolerance / 10
    for _ in range(4):
      direction = generator.normal(size=predictions.shape)
      low, high = (
          losses.mean(case(labels, predictions + x, weights), weights)
          for x in (-step * direction, step * direction)
      )
      slope = float(high - low) / (2 * step)
      self.assertGreater(abs(slope), 1e-3)
      np.testing.assert_allclose(
          np.sum(gradient * direction), slope, rtol=case.tolerance
      )

  @_EVERY_LOSS
  def test_masked_equals_sliced(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    kept = np.array([True, False, True, True, False, True])
    predictions[~kept] *= 1e3
    _, masked, masked_gradient = _value_and_gradient(
        case, labels, tf.constant(predictions), kept.astype(np.float32)
    )
    _, sliced, sliced_gradient = _value_and_gradient(
        case, labels[kept], tf.constant(predictions[kept])
    )
    np.testing.assert_allclose(masked, sliced, rtol=1e-6)
    np.testing.assert_allclose(
        masked_gradient.numpy()[kept], sliced_gradient, rtol=1e-5, atol=1e-7
    )
    np.testing.assert_array_equal(masked_gradient.numpy()[~kept], 0)

  @parameterized.parameters(*sorted(set(cases.CASES) - {'ctc'}))
  def test_of_no_example_is_0(self, name):
    case = cases.CASES[name]
    labels, predictions = (tf.constant(x[:0]) for x in case.batch())
    values, value, _ = _value_and_gradient(case, labels, predictions)
    self.assertEqual(values.shape, [0])
    self.assertEqual(float(value), 0.0)

  @_EVERY_LOSS
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

  @parameterized.named_parameters(
      *((n, n) for n, case in cases.CASES.items() if case.wrong is not None)
  )
  def test_a_label_out_of_range_is_never_silent(self, name):
    case = cases.CASES[name]
    labels, predictions = case.batch()
    labels.reshape([6, -1])[2, 0] = case.wrong
    with self.assertRaisesRegex(ValueError, 'labels: '):
      case(labels, predictions)
    values, value, gradient = tf.function(_value_and_gradient)(
        case,
        tf.constant(labels),
        tf.constant(predictions),
        tf.constant([1.0, 1.0, 0.0, 1.0, 1.0, 1.0]),
    )
    np.testing.assert_array_equal(np.isnan(values), [0, 0, 1, 0, 0, 0])
    self.assertTrue(np.isfinite(value))
    self.assertTrue(np.isfinite(gradient).all())


if __name__ == '__main__':
  absltest.main()
