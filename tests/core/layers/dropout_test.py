"""Tests of dropout: by its statistics, and over replicas to the bit.

Covers: stochastic.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers
from tests import virtual_devices

_SEED = tf.constant([3, 7])


class DropoutTest(parameterized.TestCase):

  @parameterized.parameters(0.1, 0.5, 0.9)
  def test_zeroes_a_share_and_scales_the_rest(self, rate):
    x = tf.constant(np.random.default_rng(0).uniform(1, 2, [100, 101]))
    x = tf.cast(x, tf.float32)
    dropout = layers.Dropout(rate)
    draw = lambda x: dropout(x, is_training=True, seed=_SEED)
    for run in (draw, tf.function(draw), tf.function(draw, jit_compile=True)):
      y = run(x).numpy()
      kept = y != 0
      self.assertAlmostEqual(kept.mean(), 1 - rate, delta=0.02)
      np.testing.assert_allclose(y[kept], (x / (1 - rate))[kept], rtol=1e-5)
      np.testing.assert_array_equal(run(x), y)
    np.testing.assert_allclose(tf.function(draw)(x), draw(x), rtol=1e-6)

  def test_gradient_passes_where_the_unit_does(self):
    x = tf.ones([3, 5])
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = layers.Dropout(0.5)(x, is_training=True, seed=_SEED)
    self.assertLen(set(y.numpy().ravel()), 2)
    np.testing.assert_array_equal(tape.gradient(y, x), y)

  @parameterized.parameters(1, 2, 3)
  def test_replicas_have_together_the_mask_of_one(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    dropout = layers.Dropout(0.3)
    x = tf.ones([12 // num_replicas, 5, 3])

    @tf.function
    def run():
      return strategy.run(lambda: dropout(x, is_training=True, seed=_SEED))

    y = np.concatenate(strategy.experimental_local_results(run()))
    np.testing.assert_array_equal(
        y, dropout(tf.ones([12, 5, 3]), is_training=True, seed=_SEED)
    )

  def test_another_seed_and_another_example_give_another_mask(self):
    x = tf.ones([2, 64])
    one = layers.Dropout(0.5)(x, True, [0, 1]).numpy()
    other = layers.Dropout(0.5)(x, True, [0, 2]).numpy()
    self.assertBetween((one != other).mean(), 0.3, 0.7)
    self.assertBetween((one[0] != one[1]).mean(), 0.3, 0.7)

  def test_does_nothing_in_evaluation_or_at_rate_0(self):
    x = tf.ones([2, 8])
    self.assertIs(layers.Dropout(0.5)(x, is_training=False), x)
    self.assertIs(layers.Dropout(0.0)(x, is_training=True), x)

  @parameterized.parameters(tf.bfloat16, tf.float16, tf.float64)
  def test_keeps_the_type(self, dtype):
    y = layers.Dropout(0.5)(tf.ones([4, 8], dtype), True, _SEED)
    self.assertEqual(y.dtype, dtype)
    self.assertEqual(set(tf.cast(y, tf.float32).numpy().ravel()), {0.0, 2.0})

  def test_shapes(self):
    dropout = layers.Dropout(0.5)
    dropout.build([None, 3])
    self.assertEqual(dropout.output_shape([None, 3, 4]), (None, 3, 4))
    self.assertEqual(dropout.variables, ())
    for shape in ((6,), (6, 3), (6, 3, 2, 5)):
      y = dropout(tf.ones(shape), True, _SEED)
      self.assertEqual(dropout.output_shape(shape), tuple(y.shape))

  def test_an_unknown_batch_size(self):
    dropout = layers.Dropout(0.5)

    @tf.function(input_signature=[tf.TensorSpec([None, 5])])
    def run(x):
      return dropout(x, True, _SEED)

    x = tf.ones([6, 5])
    np.testing.assert_array_equal(run(x), dropout(x, True, _SEED))
    self.assertEqual(run(x[:0]).shape, [0, 5])

  def test_a_missing_or_wrong_seed(self):
    dropout = layers.Dropout(0.5)
    with self.assertRaisesRegex(ValueError, 'seed: .* needs a seed of shape'):
      dropout(tf.ones([2, 2]), is_training=True)
    with self.assertRaisesRegex(ValueError, r'seed: expected shape \[2\]'):
      dropout(tf.ones([2, 2]), is_training=True, seed=[1, 2, 3])

  @parameterized.parameters(-0.1, 1.0, 1.5, float('nan'))
  def test_a_wrong_rate(self, rate):
    with self.assertRaisesRegex(ValueError, f'rate: .*{rate}'):
      layers.Dropout(rate)

  def test_no_batch_axis(self):
    dropout = layers.Dropout(0.5)
    with self.assertRaisesRegex(ValueError, 'input_shape: .*batch_size'):
      dropout.build([])


if __name__ == '__main__':
  absltest.main()
