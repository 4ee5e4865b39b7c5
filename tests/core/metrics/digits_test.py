"""Tests of sums in digits."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core.metrics import digits


class DigitsTest(parameterized.TestCase, tf.test.TestCase):

  def test_what_is_written_is_read(self):
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.integers(-12, 24, size=1000)
    values = np.concatenate([rng.normal(size=1000) * sizes, [0.0, -1.0, 255.5]])
    for write in (digits.encode, tf.function(digits.encode, jit_compile=True)):
      read = digits.decode(write(tf.constant(values, tf.float64)))
      np.testing.assert_allclose(read, values, rtol=3e-16, atol=2.0**-112)

  def test_float32_sums_are_exact(self):
    rng = np.random.default_rng(1)
    values = 1e10 + rng.normal(size=50_000)
    encoded = digits.encode(tf.constant(values, tf.float64)).numpy()
    total = np.zeros(encoded.shape[1], np.float32)
    for row in encoded:  # NumPy's own sum is pairwise, a caller's is not.
      total += row
    exact = math.fsum(values)
    self.assertEqual(total.dtype, np.float32)
    np.testing.assert_allclose(digits.decode(total), exact, rtol=3e-16)
    naive = np.cumsum(values.astype(np.float32), dtype=np.float32)[-1]
    self.assertGreater(abs(naive - exact) / exact, 1e-6)

  def test_signs_cancel(self):
    values = tf.constant([1e20, 1.0, -1e20, 0.25], tf.float64)
    total = tf.reduce_sum(digits.encode(values), axis=0)
    self.assertEqual(digits.decode(total), 1.25)

  @parameterized.parameters(math.nan, math.inf, -math.inf)
  def test_what_is_not_finite_is_not_a_number(self, value):
    read = digits.decode(digits.encode(tf.constant(value, tf.float64)))
    self.assertTrue(np.isnan(read))


if __name__ == '__main__':
  absltest.main()
