"""Tests of Gaussian noise: by its statistics, and over replicas to the bit."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers
from tests import virtual_devices

_SEED = tf.constant([3, 7])


class GaussianNoiseTest(parameterized.TestCase):

  @parameterized.parameters(0.1, 2.0)
  def test_adds_noise_of_the_standard_deviation(self, stddev):
    x = tf.constant(np.random.default_rng(0).normal(size=[100, 101]))
    x = tf.cast(x, tf.float32)
    layer = layers.GaussianNoise(stddev)
    draw = lambda x: layer(x, is_training=True, seed=_SEED)
    for run in (draw, tf.function(draw), tf.function(draw, jit_compile=True)):
      noise = run(x) - x
      self.assertAlmostEqual(np.mean(noise) / stddev, 0, delta=0.03)
      self.assertAlmostEqual(np.std(noise) / stddev, 1, delta=0.03)
      np.testing.assert_array_equal(run(x), run(x))
    np.testing.assert_allclose(tf.function(draw)(x), draw(x), atol=1e-6)

  def test_gradient_is_one(self):
    x = tf.ones([3, 5])
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = layers.GaussianNoise(0.5)(x, is_training=True, seed=_SEED)
    np.testing.assert_array_equal(tape.gradient(y, x), x)

  @parameterized.parameters(1, 2, 3)
  def test_replicas_have_together_the_noise_of_one(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    layer = layers.GaussianNoise(0.3)
    x = tf.ones([12 // num_replicas, 5, 3])

    @tf.function
    def run():
      return strategy.run(lambda: layer(x, is_training=True, seed=_SEED))

    y = np.concatenate(strategy.experimental_local_results(run()))
    np.testing.assert_allclose(
        y, layer(tf.ones([12, 5, 3]), True, _SEED), rtol=1e-6
    )
    self.assertLen(np.unique(y), y.size)

  def test_does_nothing_in_evaluation_or_without_deviation(self):
    x = tf.ones([2, 8])
    self.assertIs(layers.GaussianNoise(0.5)(x, is_training=False), x)
    self.assertIs(layers.GaussianNoise(0.0)(x, is_training=True), x)

  def test_types_shapes_and_an_unknown_batch_size(self):
    layer = layers.GaussianNoise(0.5)
    for dtype in (tf.bfloat16, tf.float16, tf.float64):
      self.assertEqual(layer(tf.ones([2, 3], dtype), True, _SEED).dtype, dtype)
    self.assertEqual(layer.output_shape([None, 3, 4]), (None, 3, 4))
    self.assertEqual(layer.variables, ())

    @tf.function(input_signature=[tf.TensorSpec([None, 5])])
    def run(x):
      return layer(x, True, _SEED)

    x = tf.ones([6, 5])
    np.testing.assert_allclose(run(x), layer(x, True, _SEED), rtol=1e-6)
    self.assertEqual(run(x[:0]).shape, [0, 5])

  def test_wrong_arguments(self):
    layer = layers.GaussianNoise(0.5)
    with self.assertRaisesRegex(ValueError, 'seed: .* needs a seed of shape'):
      layer(tf.ones([2, 2]), is_training=True)
    with self.assertRaisesRegex(ValueError, r'seed: expected shape \[2\]'):
      layer(tf.ones([2, 2]), is_training=True, seed=[1, 2, 3])
    with self.assertRaisesRegex(ValueError, 'input_shape: .*batch_size'):
      layer.build([])
    for stddev in (-0.1, float('nan')):
      with self.assertRaisesRegex(ValueError, f'stddev: .*{stddev}'):
        layers.GaussianNoise(stddev)


if __name__ == '__main__':
  absltest.main()
