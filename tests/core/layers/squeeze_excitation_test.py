"""Tests of squeeze and excitation."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, variables
from tests import virtual_devices


def _draw(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class SqueezeAndExcitationTest(parameterized.TestCase):

  @parameterized.parameters(((3, 4, 5, 8),), ((3, 6, 8),))
  def test_values_by_hand(self, shape):
    layer = layers.SqueezeAndExcitation(ratio=4)
    layer.build((None, *shape[1:]))
    named = variables.trainable(layer)
    self.assertEqual(named['squeeze/linear/w'].shape, [8, 2])
    for variable in named.values():
      variable.assign(_draw(*variable.shape))
    x = _draw(*shape)
    v = {name: variable.numpy() for name, variable in named.items()}
    means = x.reshape([3, -1, 8]).mean(axis=1)
    hidden = np.maximum(
        means @ v['squeeze/linear/w'] + v['squeeze/linear/b'], 0
    )
    gates = 1 / (
        1 + np.exp(-hidden @ v['excite/linear/w'] - v['excite/linear/b'])
    )
    gates = gates.reshape([3] + [1] * (len(shape) - 2) + [8])
    compiled = tf.function(layer, jit_compile=True)
    for run in (layer, tf.function(layer), compiled):
      np.testing.assert_allclose(
          run(tf.constant(x)), x * gates, rtol=1e-4, atol=1e-5
      )
    self.assertEqual(layer.output_shape((None, *shape[1:])), (None, *shape[1:]))
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(layer(x) ** 2)
    for name, gradient in tape.gradient(loss, named).items():
      self.assertTrue(np.any(gradient), name)

  def test_few_channels_and_a_strategy(self):
    with virtual_devices.mirrored(2).scope():
      layer = layers.SqueezeAndExcitation()
      layer.build([None, None, None, 3])
    self.assertEqual(layer.squeeze.output_size, 1)
    self.assertLen(layer.variables, 4)
    self.assertLen(layer.variables[0].values, 2)

  def test_refuses(self):
    with self.assertRaisesRegex(ValueError, 'ratio: .*0'):
      layers.SqueezeAndExcitation(0)
    layer = layers.SqueezeAndExcitation()
    for shape in ([None, 3], [None, 4, 4, None]):
      with self.assertRaisesRegex(ValueError, 'input_shape: .*channels'):
        layer.build(shape)


if __name__ == '__main__':
  absltest.main()
