"""Tests of normalisation by the data: scikit-learn's numbers, and gaps."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized
from sklearn import preprocessing

from core import layers, variables
from tests import virtual_devices

_NAN = np.nan


def _table(num=200):
  generator = np.random.default_rng(0)
  return generator.normal([5, 2000, -1e-6], [2, 9, 1e-7], [num, 3])


class NormalizationTest(parameterized.TestCase):

  def test_equals_scikit_learn_also_with_gaps(self):
    table = _table()
    table[np.random.default_rng(1).random(table.shape) < 0.2] = _NAN
    layer = layers.Normalization()
    layer.fit(table)
    expected = preprocessing.StandardScaler().fit_transform(table)
    # Of 64 bits: float32 has a year to a few minutes.
    actual = layer(tf.constant(table))
    np.testing.assert_allclose(
        actual, np.nan_to_num(expected), rtol=1e-4, atol=1e-4
    )
    self.assertEqual(actual.dtype, tf.float64)

  def test_equals_keras(self):
    table = _table().astype(np.float32)[:, :2]
    layer = layers.Normalization()
    layer.fit(table)
    reference = keras.layers.Normalization()
    reference.adapt(table)
    for jit in (None, False, True):
      call = layer if jit is None else tf.function(layer, jit_compile=jit)
      np.testing.assert_allclose(
          call(tf.constant(table)), reference(table), rtol=1e-4, atol=1e-4
      )

  def test_is_the_identity_before_it_is_fit(self):
    layer = layers.Normalization()
    x = tf.constant([[1.0, -2.0], [_NAN, 4.0]])
    np.testing.assert_array_equal(layer(x), [[1, -2], [0, 4]])
    self.assertEmpty(variables.trainable(layer))
    self.assertEqual(list(variables.named(layer)), ['center', 'scale'])

  @parameterized.parameters(0.1, 1e9, 3e38, -1e-38, 0.0)
  def test_a_constant_column_is_0(self, number):
    table = np.full([1001, 2], number, np.float32)
    table[3:, 1] = _NAN
    layer = layers.Normalization()
    layer.fit(table)
    x = np.array([[number, _NAN], [1.0, 7.0]], np.float32)
    np.testing.assert_array_equal(layer(tf.constant(x)), np.zeros([2, 2]))

  def test_extremes(self):
    layer = layers.Normalization()
    table = np.float32([[1e36, 1e-30, 2**24], [-1e36, 3e-30, 2**24 + 8]])
    layer.fit(table)
    expected = [[1, -1, -1], [-1, 1, 1]]
    np.testing.assert_allclose(layer(tf.constant(table)), expected, rtol=1e-6)
    # The inverse of a deviation that float32 does not have.
    layer.fit(np.array([[1e-60, 0, 0], [2e-60, 0, 0]]))
    self.assertTrue(np.isfinite(layer.scale).all())

  def test_no_examples_and_columns_without_a_number(self):
    for table in (np.zeros([0, 2]), np.full([4, 2], _NAN)):
      layer = layers.Normalization()
      layer.fit(table)
      np.testing.assert_array_equal(layer(tf.ones([3, 2])), np.zeros([3, 2]))

  def test_gaps_leave_gradients_finite(self):
    layer = layers.Normalization()
    layer.fit(_table())
    x = tf.constant([[1.0, _NAN, 2.0]])
    with tf.GradientTape() as tape:
      tape.watch(x)
      loss = tf.reduce_sum(layer(x) ** 2)
    gradient = tape.gradient(loss, x).numpy()[0]
    self.assertTrue(np.isfinite(gradient).all())
    self.assertEqual(gradient[1], 0)
    self.assertNotEqual(gradient[0], 0)

  def test_infinities(self):
    layer = layers.Normalization()
    with self.assertRaisesRegex(ValueError, r'inputs: .*columns \[1\]'):
      layer.fit([[1.0, np.inf], [2.0, 1.0]])
    layer.fit([[1.0], [2.0]])
    self.assertEqual(float(layer(tf.constant([[np.inf]]))[0, 0]), np.inf)

  def test_more_axes_and_replicas(self):
    with virtual_devices.mirrored(2).scope():
      layer = layers.Normalization()
      layer.build([None, None, 3])
    table = _table()
    layer.fit(table.reshape([20, 10, 3]))
    other = layers.Normalization()
    other.fit(table)
    for name in ('center', 'scale'):
      np.testing.assert_array_equal(*getattr(layer, name).values)
      np.testing.assert_allclose(
          getattr(layer, name), getattr(other, name), rtol=1e-6
      )

  @parameterized.parameters(tf.bfloat16, tf.float16)
  def test_computes_half_precision_in_float32(self, dtype):
    layer = layers.Normalization()
    layer.fit([[96.0], [104.0]])
    y = layer(tf.constant([[101.0]], dtype))
    self.assertEqual(y.dtype, dtype)
    self.assertEqual(float(y[0, 0]), 0.25)

  def test_refuses(self):
    layer = layers.Normalization()
    layer.build([None, 3])
    with self.assertRaisesRegex(ValueError, 'input_shape: .*for 3 numbers'):
      layer(tf.ones([2, 4]))
    with self.assertRaisesRegex(ValueError, 'input_shape: .*for 3 numbers'):
      layer.fit(tf.ones([2, 4]))
    with self.assertRaisesRegex(TypeError, 'inputs: .*floating.*int32'):
      layer(tf.constant([[1, 2, 3]]))


if __name__ == '__main__':
  absltest.main()
