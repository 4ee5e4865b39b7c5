"""Properties of every per-example loss, besides tests/core/conformance."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses
from tests.core.conformance import table_losses


def _value_and_gradient(case, labels, predictions, weights=None):
  """Returns the weighted mean of a loss and its gradient."""
  with tf.GradientTape() as tape:
    tape.watch(predictions)
    values = case(labels, predictions, weights)
    value = losses.mean(values, weights)
  return values, value, tape.gradient(value, predictions)


_CASES = table_losses.CASES
_EVERY_LOSS = parameterized.named_parameters(*((n, n) for n in _CASES))


class PropertiesTest(parameterized.TestCase):

  @_EVERY_LOSS
  def test_is_unreduced_and_float32(self, name):
    case = _CASES[name]
    labels, predictions = case.batch()
    for dtype in (tf.float32, tf.bfloat16):
      values = case(labels, tf.cast(predictions, dtype))
      self.assertEqual(values.shape, [6])
      self.assertEqual(values.dtype, tf.float32)

  @parameterized.parameters(*sorted(set(_CASES) - {'ctc_loss'}))
  def test_of_no_example_is_0(self, name):
    case = _CASES[name]
    labels, predictions = (tf.constant(x[:0]) for x in case.batch())
    values, value, _ = _value_and_gradient(case, labels, predictions)
    self.assertEqual(values.shape, [0])
    self.assertEqual(float(value), 0.0)

  @_EVERY_LOSS
  def test_is_finite_far_out_and_at_zero(self, name):
    case = _CASES[name]
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
      *((n, n) for n, case in _CASES.items() if case.wrong is not None)
  )
  def test_a_label_out_of_range_is_never_silent(self, name):
    case = _CASES[name]
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
