"""Tests of the activations by name and of softmax as a layer."""

from __future__ import annotations

import numpy as np
import scipy.special
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers

_X = np.array([-2.0, -0.5, 0.0, 1.5], np.float32)
_BY_HAND = {
    'elu': np.where(_X < 0, np.expm1(_X), _X),
    'gelu': _X * (1 + scipy.special.erf(_X / np.sqrt(2))) / 2,
    'linear': _X,
    'relu': np.maximum(_X, 0),
    'selu': 1.0507010 * np.where(_X < 0, 1.6732632 * np.expm1(_X), _X),
    'sigmoid': 1 / (1 + np.exp(-_X)),
    'silu': _X / (1 + np.exp(-_X)),
    'softplus': np.log1p(np.exp(_X)),
    'tanh': np.tanh(_X),
}


class ActivationTest(parameterized.TestCase):

  @parameterized.parameters(*layers.ACTIVATIONS)
  def test_values(self, name):
    function = layers.activation(name)
    for run in (
        function,
        tf.function(function),
        tf.function(function, jit_compile=True),
    ):
      y = run(tf.constant(_X))
      np.testing.assert_allclose(y, _BY_HAND[name], rtol=1e-5, atol=1e-6)

  @parameterized.parameters(*layers.ACTIVATIONS)
  def test_bfloat16(self, name):
    y = layers.activation(name)(tf.constant(_X, tf.bfloat16))
    self.assertEqual(y.dtype, tf.bfloat16)
    np.testing.assert_allclose(
        tf.cast(y, tf.float32), _BY_HAND[name], rtol=0.02, atol=0.01
    )

  def test_functions_and_none(self):
    self.assertIs(layers.activation(tf.nn.relu6), tf.nn.relu6)
    self.assertIs(layers.activation(None), layers.ACTIVATIONS['linear'])

  @parameterized.parameters('swish', '')
  def test_an_unknown_name(self, name):
    with self.assertRaisesRegex(
        ValueError, f"activation: unknown '{name}'; known: elu, gelu"
    ):
      layers.activation(name)


class SoftmaxTest(parameterized.TestCase):

  @parameterized.parameters(-1, 1)
  def test_values_and_shape(self, axis):
    x = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
    layer = layers.Softmax(axis)
    layer.build(x.shape)
    for run in (
        layer,
        tf.function(layer),
        tf.function(layer, jit_compile=True),
    ):
      y = run(tf.constant(x))
      np.testing.assert_allclose(y, scipy.special.softmax(x, axis), rtol=1e-5)
    self.assertEqual(layer.output_shape(x.shape), tuple(y.shape))
    self.assertEqual(layer.output_shape([None, 3, 2]), (None, 3, 2))
    self.assertEqual(layer.variables, ())

  def test_large_logits_and_gradient(self):
    x = tf.constant([[1e4, 0.0], [-1e4, -1e4]])
    with tf.GradientTape() as tape:
      tape.watch(x)
      p = layers.Softmax()(x)
    np.testing.assert_array_equal(p, [[1.0, 0.0], [0.5, 0.5]])
    jacobian = tape.batch_jacobian(p, x)
    np.testing.assert_allclose(jacobian[0], np.zeros([2, 2]))
    np.testing.assert_allclose(jacobian[1], [[0.25, -0.25], [-0.25, 0.25]])

  @parameterized.parameters(tf.bfloat16, tf.float16)
  def test_half_precision_gives_float32(self, dtype):
    p = layers.Softmax()(tf.zeros([1, 1000], dtype))
    self.assertEqual(p.dtype, tf.float32)
    np.testing.assert_allclose(p, np.full([1, 1000], 1e-3), rtol=1e-6)

  def test_float64_stays(self):
    p = layers.Softmax()(tf.zeros([1, 2], tf.float64))
    self.assertEqual(p.dtype, tf.float64)

  @parameterized.parameters((2, (5, 3)), (-3, (5, 3)), (0, ()))
  def test_no_such_axis(self, axis, shape):
    layer = layers.Softmax(axis)
    for method in (layer.build, layer.output_shape):
      with self.assertRaisesRegex(ValueError, f'input_shape: .* axis {axis}'):
        method(shape)


if __name__ == '__main__':
  absltest.main()
