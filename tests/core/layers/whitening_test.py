"""Tests of the whitening convolution."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, variables
from tests import virtual_devices


def _images(channels=3, num=64):
  """Draws images whose neighbouring pixels and channels are alike."""
  x = np.random.default_rng(0).normal(size=(num, 10, 9, channels))
  x[:, 1:] += x[:, :-1]
  x[:, :, 1:] += 0.5 * x[:, :, :-1]
  x[..., 1:] += x[..., :-1]
  return (x + 3).astype(np.float32)


class WhiteningFiltersTest(parameterized.TestCase):

  @parameterized.product(kernel_shape=(1, 2, 3), channels=(1, 3))
  def test_responses_are_white(self, kernel_shape, channels):
    images = _images(channels)
    compute = lambda images: layers.whitening_filters(
        images, kernel_shape, 1e-9
    )
    num_filters = kernel_shape**2 * channels
    for run in (
        compute,
        tf.function(compute),
        tf.function(compute, jit_compile=True),
    ):
      filters = run(tf.constant(images))
      self.assertEqual(
          filters.shape, [kernel_shape, kernel_shape, channels, num_filters]
      )
      y = tf.nn.conv2d(images, filters, 1, 'VALID')
      covariance = np.cov(np.reshape(y, [-1, num_filters]).T)
      np.testing.assert_allclose(
          np.atleast_2d(covariance), np.eye(num_filters), atol=0.01
      )

  def test_filters_are_those_of_numpy(self):
    images = _images(1)
    patches = np.stack([
        images[:, i : i + 9, j : j + 8].ravel() for i in (0, 1) for j in (0, 1)
    ]).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(patches))
    expected = (vectors / np.sqrt(values + 0.1))[:, ::-1]
    filters = np.reshape(layers.whitening_filters(images, 2, 0.1), [4, 4])
    signs = np.sign(np.sum(filters * expected, axis=0))
    np.testing.assert_allclose(filters * signs, expected, rtol=1e-2, atol=1e-3)

  def test_a_direction_without_variance_stays_finite(self):
    images = np.repeat(_images(1), 2, axis=-1)
    filters = layers.whitening_filters(images, 2)
    self.assertTrue(np.isfinite(filters).all())
    self.assertLess(np.abs(filters).max(), 5e-4**-0.5 * 1.01)

  def test_refuses(self):
    images = _images(1)
    with self.assertRaisesRegex(ValueError, 'images: .*rank'):
      layers.whitening_filters(images[0])
    for size in (0, 10):
      with self.assertRaisesRegex(ValueError, f'kernel_shape: .*got {size}'):
        layers.whitening_filters(images, size)
    with self.assertRaisesRegex(ValueError, 'epsilon: .*got 0'):
      layers.whitening_filters(images, 2, 0.0)


class WhiteningConv2DTest(parameterized.TestCase):

  @parameterized.product(
      with_negatives=(True, False), padding=('VALID', 'SAME')
  )
  def test_is_a_convolution_with_a_bias(self, with_negatives, padding):
    images = _images(2, 8)
    layer = layers.WhiteningConv2D(
        2, with_negatives=with_negatives, padding=padding
    )
    layer.fit(images)
    filters = layers.whitening_filters(images, 2)
    np.testing.assert_array_equal(layer.filters, filters)
    b = np.arange(8.0 * (1 + with_negatives), dtype=np.float32)
    layer.b.assign(b)
    expected = tf.nn.conv2d(images, filters, 1, padding)
    if with_negatives:
      expected = tf.concat([expected, -expected], axis=-1)
    compiled = tf.function(layer, jit_compile=True)
    for run in (layer, tf.function(layer), compiled):
      np.testing.assert_allclose(
          run(tf.constant(images)), expected + b, rtol=1e-3, atol=1e-3
      )
    self.assertEqual(layer.output_shape(images.shape), tuple(expected.shape))
    self.assertEqual(layer.output_shape([None, None, 5, 2])[:2], (None, None))

  def test_the_bias_alone_is_trainable_and_gradients_pass(self):
    layer = layers.WhiteningConv2D()
    x = tf.constant(_images(1, 4))
    layer.fit(x)
    self.assertEqual(list(variables.named(layer)), ['b', 'filters'])
    self.assertEqual(list(variables.trainable(layer)), ['b'])
    with tf.GradientTape() as tape:
      tape.watch(x)
      loss = tf.reduce_sum(layer(x) ** 2)
    for gradient in tape.gradient(loss, [x, layer.b]):
      self.assertTrue(np.any(gradient))

  def test_filters_are_orthonormal_before_they_are_fit(self):
    with virtual_devices.mirrored(2).scope():
      layer = layers.WhiteningConv2D(with_bias=False)
      layer.build([None, None, None, 3])
    self.assertLen(layer.variables, 1)
    w = np.reshape(layer.filters, [12, 12])
    np.testing.assert_allclose(w.T @ w, np.eye(12), atol=1e-5)
    layer.fit(_images())
    np.testing.assert_array_equal(*layer.filters.values)
    fitted = np.reshape(layer.filters, [12, 12])
    self.assertGreater(np.abs(fitted - w).max(), 0.1)

  @parameterized.parameters(tf.bfloat16, tf.float16)
  def test_keeps_half_precision(self, dtype):
    layer = layers.WhiteningConv2D()
    x = tf.constant(_images(1, 4))
    layer.fit(x)
    y = layer(tf.cast(x, dtype))
    self.assertEqual(y.dtype, dtype)
    np.testing.assert_allclose(tf.cast(y, tf.float32), layer(x), atol=0.1)

  def test_refuses(self):
    with self.assertRaisesRegex(ValueError, 'kernel_shape: .*0'):
      layers.WhiteningConv2D(0)
    with self.assertRaisesRegex(ValueError, "padding: unknown 'same'"):
      layers.WhiteningConv2D(padding='same')
    layer = layers.WhiteningConv2D(3)
    with self.assertRaisesRegex(ValueError, 'input_shape: .*channels known'):
      layer.build([None, 8, 8, None])
    with self.assertRaisesRegex(ValueError, 'input_shape: .*do not fit'):
      layer.build([None, 8, 2, 1])
    layer.build([None, 8, 8, 1])
    with self.assertRaisesRegex(ValueError, 'input_shape: .*for 1 channels'):
      layer(tf.ones([1, 8, 8, 2]))


if __name__ == '__main__':
  absltest.main()
