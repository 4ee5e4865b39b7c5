"""Tests of pooling."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers


def _draw(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class MaxPoolTest(parameterized.TestCase):

  @parameterized.product(
      sizes=((8, 8, 2), (9, 6, 3), (5, 5, 1), (7, 6, 2), (10, 7, 4)),
      by_reshape=(False, True),
  )
  def test_equals_the_pooling_operation(self, sizes, by_reshape):
    height, width, size = sizes
    x = tf.constant(_draw(2, height, width, 3))
    pool = lambda x: layers.max_pool2d(x, size, by_reshape=by_reshape)
    expected = tf.nn.max_pool2d(x, size, size, 'SAME')
    for run in (
        pool,
        tf.function(pool),
        tf.function(pool, jit_compile=True),
        tf.function(
            pool, input_signature=[tf.TensorSpec([None, height, width, 3])]
        ),
    ):
      np.testing.assert_array_equal(run(x), expected)
    results = []
    for function in (pool, lambda x: tf.nn.max_pool2d(x, size, size, 'SAME')):
      with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x) ** 2
      results.append(tape.gradient(y, x))
    np.testing.assert_array_equal(*results)

  def test_equal_maxima_share_the_gradient(self):
    x = tf.ones([1, 2, 2, 1])
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = layers.max_pool2d(x, by_reshape=True)
    np.testing.assert_array_equal(tape.gradient(y, x), np.full(x.shape, 0.25))

  def test_without_a_gpu_it_is_the_pooling_operation(self):
    kinds = lambda **arguments: {
        operation.type
        for operation in (
            tf.function(lambda x: layers.max_pool2d(x, **arguments))
            .get_concrete_function(tf.TensorSpec([2, 7, 7, 3]))
            .graph.get_operations()
        )
    }
    self.assertIn('MaxPool', kinds(by_reshape=False))
    self.assertNotIn('MaxPool', kinds(by_reshape=True))
    self.assertEqual(
        'MaxPool' in kinds(), not tf.config.list_logical_devices('GPU')
    )

  def test_refuses(self):
    with self.assertRaisesRegex(ValueError, 'size: .*0'):
      layers.max_pool2d(tf.ones([1, 2, 2, 1]), 0)
    with self.assertRaisesRegex(ValueError, 'inputs: .*rank'):
      layers.max_pool2d(tf.ones([2, 2, 1]))


class BlurPoolTest(parameterized.TestCase):

  @parameterized.product(
      filter_size=(1, 2, 3, 4, 5), stride=(1, 2, 3), sides=((8, 8), (7, 5))
  )
  def test_equals_scipy(self, filter_size, stride, sides):
    x = _draw(2, *sides, 3)
    row = np.poly1d([0.5, 0.5]) ** (filter_size - 1)
    filters = np.outer(row.coeffs, row.coeffs)[None, :, :, None]
    # SciPy's filter of even size lies one further to the left.
    origin = [0, -((filter_size + 1) % 2), -((filter_size + 1) % 2), 0]
    expected = scipy.ndimage.correlate(
        x, filters, mode='mirror', origin=origin
    )[:, ::stride, ::stride]
    pool = layers.BlurPool(filter_size, stride)
    self.assertEqual(pool.output_shape(x.shape), expected.shape)
    np.testing.assert_allclose(pool(x), expected, rtol=1e-4, atol=1e-5)

  def test_a_shift_matters_less_than_without_the_blur(self):
    x = _draw(4, 16, 16, 2)

    def change(pool):
      difference = pool(x) - pool(np.roll(x, 1, axis=2))
      return np.abs(difference[:, 1:-1, 1:-1])

    blurred = change(layers.BlurPool(5)).mean()
    self.assertLess(blurred, 0.3 * change(lambda x: x[:, ::2, ::2]).mean())

  def test_eager_equals_graph_equals_xla_and_types(self):
    x = tf.constant(_draw(2, 8, 6, 3))
    pool = layers.BlurPool()
    for run in (
        tf.function(pool),
        tf.function(pool, jit_compile=True),
        tf.function(pool, input_signature=[tf.TensorSpec([None, 8, 6, 3])]),
    ):
      np.testing.assert_allclose(run(x), pool(x), rtol=1e-5, atol=1e-6)
    for dtype in (tf.bfloat16, tf.float16):
      y = pool(tf.cast(x, dtype))
      self.assertEqual(y.dtype, dtype)
      np.testing.assert_allclose(tf.cast(y, tf.float32), pool(x), atol=0.02)
    self.assertEmpty(pool.variables)

  def test_refuses(self):
    for argument in ('filter_size', 'stride'):
      with self.assertRaisesRegex(ValueError, f'{argument}: .*0'):
        layers.BlurPool(**{argument: 0})
    pool = layers.BlurPool()
    with self.assertRaisesRegex(ValueError, 'input_shape: .*batch size'):
      pool.output_shape([None, None, 4, 1])
    with self.assertRaisesRegex(ValueError, 'input_shape: .*at least 2 pix'):
      pool(tf.ones([1, 1, 4, 1]))


if __name__ == '__main__':
  absltest.main()
