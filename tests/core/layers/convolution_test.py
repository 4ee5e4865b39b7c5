"""Tests of the convolution: by hand, against Keras and Sonnet, its graph."""

from __future__ import annotations

import keras
import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import compilation, layers


def _draw(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class Conv2DTest(parameterized.TestCase):

  def test_values_and_gradient_by_hand(self):
    layer = layers.Conv2D(1, 2, padding='VALID')
    layer.build([None, None, None, 1])
    layer.w.assign(tf.reshape([1.0, 2.0, 0.0, -1.0], [2, 2, 1, 1]))
    layer.b.assign([0.5])
    x = tf.reshape(tf.range(6.0), [1, 2, 3, 1])
    with tf.GradientTape() as tape:
      y = layer(x)
    # 0 + 2 * 1 - 4 and 1 + 2 * 2 - 5, and the bias.
    np.testing.assert_array_equal(tf.squeeze(y), [-1.5, 0.5])
    dw, db = tape.gradient(y, [layer.w, layer.b])
    np.testing.assert_array_equal(tf.squeeze(dw), [[1.0, 3.0], [7.0, 9.0]])
    np.testing.assert_array_equal(db, [2.0])

  @parameterized.product(
      image=((7, 8), (5, 5)),
      sizes=((1, 1), (3, 1), (3, 2)),
      padding=('SAME', 'VALID'),
      with_bias=(True, False),
  )
  def test_equals_keras(self, image, sizes, padding, with_bias):
    kernel_shape, stride = sizes
    x = _draw(3, *image, 2)
    layer = layers.Conv2D(
        4,
        kernel_shape,
        stride,
        padding=padding,
        with_bias=with_bias,
        b_init=snt.initializers.RandomNormal(),
    )
    layer.build([None, *image, 2])
    reference = keras.layers.Conv2D(
        4, kernel_shape, stride, padding.lower(), use_bias=with_bias
    )
    reference.build(x.shape)
    weights = [layer.w] + ([layer.b] if with_bias else [])
    reference.set_weights([w.numpy() for w in weights])
    with tf.GradientTape(persistent=True) as tape:
      y, expected = layer(x), reference(x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    sources = [v.value for v in reference.trainable_variables]
    for ours, theirs in zip(
        tape.gradient(y, weights), tape.gradient(expected, sources)
    ):
      np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    self.assertLen(layer.trainable_variables, 1 + with_bias)
    self.assertEqual(layer.output_shape(x.shape), tuple(y.shape))
    self.assertEqual(
        layer.output_shape([None, None, image[1], 2]),
        (None, None, *y.shape[2:]),
    )

  @parameterized.product(
      side=(7, 8),
      channels=(1, 3, 8, 9),
      stride=(2, 3),
      padding=('SAME', 'VALID'),
  )
  def test_pixels_that_are_skipped(self, side, channels, stride, padding):
    # The reference is a product: there are CPUs on which TensorFlow's gradient
    # of a convolution like this is wrong.
    x = tf.constant(_draw(4, side, side, channels))
    layer = layers.Conv2D(5, 1, stride, padding=padding, with_bias=False)
    layer.build(x.shape)
    kept = np.arange(0, side, stride)
    with tf.GradientTape(persistent=True) as tape:
      tape.watch(x)
      y = layer(x)
      rows = tf.gather(tf.gather(x, kept, axis=1), kept, axis=2)
      expected = tf.einsum('nhwc,cd->nhwd', rows, layer.w[0, 0])
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    self.assertEqual(layer.output_shape(x.shape), tuple(y.shape))
    for ours, theirs in zip(
        tape.gradient(y, [x, layer.w]), tape.gradient(expected, [x, layer.w])
    ):
      np.testing.assert_allclose(
          tf.convert_to_tensor(ours), theirs, rtol=1e-4, atol=1e-4
      )

  def test_begins_as_sonnet_does(self):
    x = _draw(2, 6, 6, 3)
    outputs = []
    for make in (layers.Conv2D, snt.Conv2D):
      tf.random.set_seed(1)
      outputs.append(make(5, 3)(x))
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)

  def test_explicit_and_first_use_make_the_same_variables(self):
    x = _draw(2, 6, 6, 3)
    built, used = (
        layers.Conv2D(4, 3, w_init=snt.initializers.Ones()) for _ in range(2)
    )
    self.assertIsNone(built.w)
    built.build([None, None, None, 3])
    before = [id(v) for v in built.variables]
    np.testing.assert_array_equal(built(x), used(x))
    built.build([7, 9, 9, 3])
    self.assertEqual([id(v) for v in built.variables], before)
    self.assertEqual(
        [v.shape for v in built.variables], [v.shape for v in used.variables]
    )

  def test_no_gradient_that_is_slow_on_a_cpu(self):
    # BiasAddGrad is what TensorFlow merges into the filters' gradient.
    layer = layers.Conv2D(4, 3)
    layer.build([None, 6, 6, 3])

    @tf.function(autograph=False)
    def gradients(x):
      with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nn.relu(layer(x)) ** 2)
      return tape.gradient(loss, [layer.w, layer.b])

    operations = compilation.operations(
        gradients.get_concrete_function(tf.TensorSpec([None, 6, 6, 3]))
    )
    self.assertIn('Conv2DBackpropFilter', operations)
    self.assertNotIn('BiasAddGrad', operations)

  @parameterized.parameters(
      ([None, 6, 6], 'expected .batch_size, height, width, channels'),
      ([None, 6, 6, None], 'channels known'),
      ([None, 6, 6, 2], 'built for 3 channels'),
      ([None, 2, 6, 3], 'do not fit'),
  )
  def test_wrong_shapes(self, shape, message):
    layer = layers.Conv2D(4, 3, padding='VALID')
    layer.build([None, 6, 6, 3])
    for call in (layer.build, layer.output_shape):
      with self.assertRaisesRegex(ValueError, message):
        call(shape)
    if None not in shape[1:]:
      with self.assertRaisesRegex(ValueError, message):
        layer(tf.ones([1, *shape[1:]]))


if __name__ == '__main__':
  absltest.main()
