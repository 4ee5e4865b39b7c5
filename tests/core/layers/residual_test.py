"""Tests of residual connections and of their initializer."""

from __future__ import annotations

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, variables
from tests import virtual_devices

_X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


class ResidualTest(parameterized.TestCase):

  def test_without_a_scale(self):
    block = layers.Residual(tf.square)
    np.testing.assert_allclose(block(_X), _X + _X**2, rtol=1e-6)
    self.assertEmpty(block.variables)

  @parameterized.parameters(
      (0.0, False), (0.5, False), (0.0, True), (1e-5, True)
  )
  def test_scales_and_their_gradients(self, scale_init, per_channel):
    block = layers.Residual(layers.Dense(3, 'tanh'), scale_init, per_channel)
    block.build([None, 3])
    branch = block.function(_X)
    with tf.GradientTape() as tape:
      y = block(_X)
      loss = tf.reduce_sum(y**2)
    np.testing.assert_allclose(y, _X + scale_init * branch, rtol=1e-6)
    # d/ds sum (x + s f)^2 = sum 2 y f, a channel or in all.
    expected = np.sum(2 * y * branch, axis=0 if per_channel else None)
    gradient = tape.gradient(loss, block.scale)
    self.assertEqual(gradient.shape, [3] if per_channel else [])
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
    self.assertSameElements(
        variables.trainable(block),
        ['function/linear/b', 'function/linear/w', 'scale'],
    )
    self.assertEqual(block.output_shape([None, 3]), (None, 3))

  def test_builds_on_first_use_and_hands_arguments_on(self):
    block = layers.Residual(layers.Dropout(0.5), 1.0)
    y = block(_X, is_training=True, seed=[0, 1])
    self.assertEqual(block.scale.shape, [])
    np.testing.assert_array_equal(y, _X + layers.Dropout(0.5)(_X, True, [0, 1]))
    np.testing.assert_array_equal(block(_X, is_training=False), 2 * _X)

  def test_eager_equals_graph_equals_xla(self):
    block = layers.Residual(layers.Dense(3), 0.1, per_channel=True)
    block.build([None, 3])
    for jit_compile in (False, True):
      compiled = tf.function(block, jit_compile=jit_compile)
      np.testing.assert_allclose(
          compiled(tf.constant(_X)), block(_X), rtol=1e-5, atol=1e-6
      )

  @parameterized.parameters(tf.bfloat16, tf.float16)
  def test_keeps_half_precision(self, dtype):
    block = layers.Residual(tf.square, 0.5)
    y = block(tf.ones([2, 3], dtype))
    self.assertEqual(y.dtype, dtype)
    self.assertEqual(block.scale.dtype, tf.float32)
    np.testing.assert_array_equal(tf.cast(y, tf.float32), np.full([2, 3], 1.5))

  def test_build_under_a_strategy(self):
    with virtual_devices.mirrored(2).scope():
      block = layers.Residual(layers.Dense(3), 0.0)
      block.build([None, 3])
    self.assertLen(block.variables, 3)
    for variable in block.variables:
      self.assertLen(variable.values, 2)

  def test_refuses(self):
    with self.assertRaisesRegex(ValueError, 'scale_init: per_channel'):
      layers.Residual(tf.square, per_channel=True)
    with self.assertRaisesRegex(ValueError, r'function: .*\(5, 3\).*\(5, 4\)'):
      layers.Residual(layers.Dense(4))(_X)
    with self.assertRaisesRegex(ValueError, r'function: .*\(5, 3\).*\(5, 1\)'):
      layers.Residual(layers.Dense(1))(_X)
    with self.assertRaisesRegex(ValueError, 'input_shape: .*channels'):
      layers.Residual(tf.square, 1.0, per_channel=True).build([None, None])


class ScaledVarianceTest(parameterized.TestCase):

  @parameterized.parameters((1, 2, 2.0), (16, 2, 2.0), (16, 3, 1.0))
  def test_deviation(self, num_blocks, layers_per_block, scale):
    initializer = layers.scaled_variance(num_blocks, layers_per_block, scale)
    w = initializer([400, 300], tf.float32).numpy()
    fixup = num_blocks ** (-1 / (2 * layers_per_block - 2))
    self.assertAlmostEqual(
        w.std() / (fixup * np.sqrt(scale / 400)), 1, delta=0.02
    )

  def test_many_blocks_keep_their_variance_bounded(self):
    num_blocks = 64
    x = tf.constant(np.random.default_rng(0).normal(size=(16, 128)), tf.float32)

    def variance(initializer):
      y = x
      for _ in range(num_blocks):
        branch = snt.Sequential([
            layers.Dense(128, 'relu', w_init=initializer),
            layers.Dense(128, w_init=initializer),
        ])
        y = layers.Residual(branch)(y)
      return float(tf.math.reduce_variance(y))

    self.assertLess(variance(layers.scaled_variance(num_blocks)), 20)
    self.assertGreater(variance(snt.initializers.VarianceScaling(2.0)), 1e6)

  @parameterized.parameters(
      ((0, 2), 'num_blocks: .*0'), ((4, 1), 'layers_per_block: .*1')
  )
  def test_wrong_numbers(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      layers.scaled_variance(*arguments)


if __name__ == '__main__':
  absltest.main()
