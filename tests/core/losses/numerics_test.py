"""Tests that arithmetic of losses stays finite, value and gradient, at zero."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core.losses import numerics

_DTYPES = (tf.float32, tf.float64)


def _with_gradient(function, values, dtype):
  x = tf.constant(values, dtype)
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = function(x)
  return y.numpy(), tape.gradient(y, x).numpy()


class NumericsTest(parameterized.TestCase):

  @parameterized.parameters(*_DTYPES)
  def test_a_square_root(self, dtype):
    root, slope = _with_gradient(numerics.sqrt, [0.0, 4.0, 0.25], dtype)
    np.testing.assert_allclose(root, [0, 2, 0.5], rtol=1e-6)
    np.testing.assert_allclose(slope, [0, 0.25, 1], rtol=1e-6)
    self.assertEqual(root.dtype, dtype.as_numpy_dtype)

  @parameterized.product(dtype=_DTYPES, exponent=(0.5, 1.0, 1.5, 2.0))
  def test_a_power(self, dtype, exponent):
    base = [0.0, 0.25, 3.0]
    power, slope = _with_gradient(
        lambda x: numerics.power(x, exponent), base, dtype
    )
    base = np.array(base[1:])
    np.testing.assert_allclose(power[1:], base**exponent, rtol=1e-6)
    np.testing.assert_allclose(
        slope[1:], exponent * base ** (exponent - 1), rtol=1e-6
    )
    self.assertLess(power[0], 1e-14)
    self.assertEqual(slope[0], 0)

  @parameterized.parameters(*_DTYPES)
  def test_a_norm(self, dtype):
    norm, slope = _with_gradient(numerics.norm, [[3.0, 4.0], [0.0, 0.0]], dtype)
    np.testing.assert_allclose(norm, [5, 0], rtol=1e-6)
    np.testing.assert_allclose(slope, [[0.6, 0.8], [0, 0]], rtol=1e-6)

  @parameterized.parameters(*_DTYPES)
  def test_what_a_mask_leaves_out_has_no_gradient(self, dtype):
    values, slope = _with_gradient(
        lambda x: numerics.where(x > 0, tf.math.log(tf.abs(x) + 1), -7.0),
        [-1.0, 1.0],
        dtype,
    )
    np.testing.assert_allclose(values, [-7, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(slope, [0, 0.5], rtol=1e-6)

  @parameterized.parameters(*_DTYPES)
  def test_a_mean_over_all_but_examples(self, dtype):
    values = np.arange(12.0).reshape([2, 3, 2])
    mean = numerics.over_examples(tf.constant(values, dtype))
    np.testing.assert_allclose(mean, values.mean((1, 2)))


if __name__ == '__main__':
  absltest.main()
