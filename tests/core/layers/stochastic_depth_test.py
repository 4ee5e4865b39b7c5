"""Tests of stochastic depth: whole examples, over replicas to the bit."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers
from tests import virtual_devices

_SEED = tf.constant([3, 7])


class StochasticDepthTest(parameterized.TestCase):

  @parameterized.parameters(0.1, 0.5, 0.9)
  def test_drops_a_share_of_the_examples_whole(self, rate):
    x = np.random.default_rng(0).uniform(1, 2, [2000, 3, 2])
    x = tf.constant(x, tf.float32)
    layer = layers.StochasticDepth(rate)
    draw = lambda x: layer(x, is_training=True, seed=_SEED)
    for run in (draw, tf.function(draw), tf.function(draw, jit_compile=True)):
      y = run(x).numpy()
      kept = (y != 0).all(axis=(1, 2))
      np.testing.assert_array_equal(kept, (y != 0).any(axis=(1, 2)))
      self.assertAlmostEqual(kept.mean(), 1 - rate, delta=0.04)
      np.testing.assert_allclose(y[kept], (x / (1 - rate))[kept], rtol=1e-5)

  def test_a_dropped_example_gives_the_branch_no_gradient(self):
    x = tf.ones([32, 2])
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = layers.StochasticDepth(0.5)(x, is_training=True, seed=_SEED)
    self.assertLen(set(y.numpy().ravel()), 2)
    np.testing.assert_array_equal(tape.gradient(y, x), y)

  @parameterized.parameters(1, 2, 3)
  def test_replicas_drop_together_what_one_drops(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    layer = layers.StochasticDepth(0.4)
    x = tf.ones([24 // num_replicas, 5])

    @tf.function
    def run():
      return strategy.run(lambda: layer(x, is_training=True, seed=_SEED))

    y = np.concatenate(strategy.experimental_local_results(run()))
    np.testing.assert_array_equal(y, layer(tf.ones([24, 5]), True, _SEED))
    self.assertLen(set(y.ravel()), 2)

  def test_does_nothing_in_evaluation_or_at_rate_0(self):
    x = tf.ones([2, 8])
    self.assertIs(layers.StochasticDepth(0.5)(x, is_training=False), x)
    self.assertIs(layers.StochasticDepth(0.0)(x, is_training=True), x)

  def test_types_and_shapes(self):
    layer = layers.StochasticDepth(0.5)
    for dtype in (tf.bfloat16, tf.float16, tf.float64):
      for shape in ((6,), (6, 3), (6, 3, 2, 5)):
        y = layer(tf.ones(shape, dtype), True, _SEED)
        self.assertEqual((y.dtype, tuple(y.shape)), (dtype, shape))
        self.assertEqual(layer.output_shape(shape), shape)
    self.assertEqual(layer.variables, ())

  def test_no_batch_axis(self):
    with self.assertRaisesRegex(ValueError, 'inputs: expected .batch_size'):
      layers.StochasticDepth(0.5)(tf.constant(1.0), True, [0, 1])

  def test_wrong_arguments(self):
    layer = layers.StochasticDepth(0.5)
    with self.assertRaisesRegex(ValueError, 'seed: .* needs a seed of shape'):
      layer(tf.ones([2, 2]), is_training=True)
    with self.assertRaisesRegex(ValueError, 'input_shape: .*batch_size'):
      layer.build([])
    for rate in (-0.1, 1.0, float('nan')):
      with self.assertRaisesRegex(ValueError, f'rate: .*{rate}'):
        layers.StochasticDepth(rate)


if __name__ == '__main__':
  absltest.main()
