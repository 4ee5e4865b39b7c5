from __future__ import annotations

import numpy as np
import optax
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers
from tests.core.optimizers import comparison


class AveragingTest(parameterized.TestCase):

  @parameterized.parameters(0.9, 0.999, 0.9999)
  def test_the_average_of_constants_is_the_constant(self, decay):
    average = optimizers.ema(decay)
    weights = {'w': tf.constant([3.0, -1e-3])}
    update = tf.function(average.update)
    state = average.init(weights)
    for _ in range(200):
      mean, state = update(weights, state, weights)
      np.testing.assert_allclose(mean['w'], weights['w'], rtol=3e-6)
    np.testing.assert_array_equal(
        optimizers.ema_average(state, decay)['w'], mean['w']
    )

  @parameterized.parameters(True, False)
  def test_is_optax_s_in_float64(self, debias):
    start = comparison.parameters('float64')
    steps = comparison.gradients(dtype='float64')
    actual, _ = comparison.run(optimizers.ema(0.999, debias), start, steps)
    expected, _ = comparison.run_optax(optax.ema(0.999, debias), start, steps)
    comparison.assert_same(actual, expected, rtol=1e-11)

  def test_averages_variables_of_half_precision_in_float32(self):
    weights = {'w': tf.Variable([1.0, 2.0], dtype=tf.bfloat16)}
    average = optimizers.ema(0.75)
    state = average.init(weights)
    for value in (1.0, 1.015625):
      weights['w'].assign([value, value])
      _, state = average.update(weights, state, weights)
    # The last of two has weight 1 - 0.75 of 1 - 0.75 ** 2.
    expected = 1 + 0.015625 * 0.25 / 0.4375
    actual = optimizers.ema_average(state, 0.75)['w']
    self.assertEqual(actual.dtype, tf.float32)
    np.testing.assert_allclose(actual, [expected] * 2, rtol=1e-6)

  def test_the_average_rests_in_its_dtype(self):
    average = optimizers.ema(0.5, accumulator_dtype=tf.bfloat16)
    weights = {'w': tf.constant(1 + 2**-9)}
    mean, state = average.update(weights, average.init(weights), weights)
    self.assertEqual(state.ema['w'].dtype, tf.bfloat16)
    self.assertEqual(float(mean['w']), 1 + 2**-9)


if __name__ == '__main__':
  absltest.main()
