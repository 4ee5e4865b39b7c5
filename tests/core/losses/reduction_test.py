"""Tests of the reductions."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses


class ReductionTest(parameterized.TestCase):

  @parameterized.parameters(
      ([1.0, 2.0, 6.0], None, 9.0, 3.0),
      ([1.0, 2.0, 6.0], [1.0, 0.5, 0.0], 2.0, 2.0 / 1.5),
      ([1.0, 2.0, 6.0], [True, False, True], 7.0, 3.5),
      ([1.0, 2.0, 6.0], [0, 0, 0], 0.0, 0.0),
      ([1.0, np.inf, np.nan], [2, 0, 0], 2.0, 1.0),
      (np.zeros([0], np.float32), None, 0.0, 0.0),
  )
  def test_values(self, values, weights, total, mean):
    self.assertAlmostEqual(float(losses.total(values, weights)), total, 6)
    self.assertAlmostEqual(float(losses.mean(values, weights)), mean, 6)

  @parameterized.parameters(losses.total, losses.mean)
  def test_gradient_is_finite_where_a_weightless_value_is_not(self, reduce):
    x = tf.constant([1.0, 0.0, -1.0])
    with tf.GradientTape() as tape:
      tape.watch(x)
      value = reduce(tf.math.log(x), [1.0, 0.0, 0.0])
    self.assertEqual(float(value), 0.0)
    with tf.GradientTape() as tape:
      values = tf.constant([1.0, np.inf, np.nan])
      tape.watch(values)
      value = reduce(values, [2.0, 0.0, 0.0])
    gradient = tape.gradient(value, values)
    np.testing.assert_array_equal(
        gradient, [2.0 if reduce is losses.total else 1.0, 0.0, 0.0]
    )

  def test_totals_of_replicas_make_the_global_mean(self):
    values, weights = tf.random.normal([7]), tf.constant([1, 0, 1, 1, 1, 0, 1])
    parts = ((0, 3), (3, 7), (7, 7))
    total = sum(losses.total(values[a:b], weights[a:b]) for a, b in parts)
    self.assertAlmostEqual(
        float(total) / 5, float(losses.mean(values, weights)), 6
    )

  @parameterized.parameters(False, True)
  def test_weights_of_leading_axes(self, jit):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(4, 2, 3)).astype(np.float32)
    values[1] = np.nan
    compiled = lambda f: tf.function(f, jit_compile=True) if jit else f
    for rank in (1, 2, 3):
      weights = generator.uniform(size=values.shape[:rank]).astype(np.float32)
      weights[1] = 0
      every = np.broadcast_to(
          weights.reshape(*weights.shape, *[1] * (3 - rank)), values.shape
      )
      kept = every > 0
      total = np.sum(values[kept] * every[kept])
      np.testing.assert_allclose(
          compiled(losses.total)(values, weights), total, 1e-5
      )
      np.testing.assert_allclose(
          compiled(losses.mean)(values, weights), total / every.sum(), 1e-5
      )
    np.testing.assert_allclose(losses.mean(values[2:]), values[2:].mean(), 1e-5)

  @parameterized.parameters(losses.total, losses.mean)
  def test_gradient_by_weights_of_leading_axes(self, reduce):
    values = tf.constant([[1.0, 2.0], [4.0, 8.0]])
    weights = tf.constant([1.0, 3.0])
    with tf.GradientTape() as tape:
      tape.watch((values, weights))
      value = reduce(values, weights)
    by_values, by_weights = tape.gradient(value, (values, weights))
    if reduce is losses.total:
      np.testing.assert_allclose(by_values, [[1, 1], [3, 3]])
      np.testing.assert_allclose(by_weights, [3, 12])
    else:  # 39 / 8
      np.testing.assert_allclose(by_values, np.array([[1, 1], [3, 3]]) / 8)
      np.testing.assert_allclose(
          by_weights, [(3 - 2 * 39 / 8) / 8, (12 - 2 * 39 / 8) / 8]
      )

  def test_half_precision_is_summed_in_float32(self):
    values = tf.ones([1000], tf.bfloat16)
    self.assertEqual(float(losses.total(values)), 1000.0)

  def test_bad_calls(self):
    with self.assertRaisesRegex(ValueError, 'weights'):
      losses.mean([1.0, 2.0], [1.0])
    with self.assertRaisesRegex(ValueError, 'weights'):
      losses.mean([1.0, 2.0], [[1.0], [1.0]])
    with self.assertRaisesRegex(ValueError, 'values'):
      losses.mean(1.0)
    for weights in (1.0, [1.0], [[1.0], [1.0]], [1.0, 1.0, 1.0], [[1.0] * 3]):
      with self.assertRaisesRegex(ValueError, 'weights: expected'):
        losses.total(tf.ones([2, 3]), weights)
    with self.assertRaisesRegex(TypeError, 'values'):
      losses.total([1, 2])


if __name__ == '__main__':
  absltest.main()
