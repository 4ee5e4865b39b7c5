"""Tests of the multi-layer perceptron."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import models, variables


class MLPTest(parameterized.TestCase):

  def test_784_300_100_10(self):
    model = models.create('mlp', 10)
    model.build((None, 28, 28, 1))
    named = variables.named(model)
    sizes = [v.shape.num_elements() for v in named.values()]
    self.assertEqual(sum(sizes), 266610)
    self.assertEqual(
        {name: tuple(v.shape) for name, v in named.items()},
        {
            'hidden/0/linear/b': (300,),
            'hidden/0/linear/w': (784, 300),
            'hidden/1/linear/b': (100,),
            'hidden/1/linear/w': (300, 100),
            'output/linear/b': (10,),
            'output/linear/w': (100, 10),
        },
    )

  def test_equals_keras(self):
    model = models.create('mlp', 4, hidden_sizes=(6, 5), activation='tanh')
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 1)).astype(np.float32)
    logits = model(x, is_training=False)
    reference = keras.Sequential([
        keras.layers.Flatten(),
        keras.layers.Dense(6, 'tanh'),
        keras.layers.Dense(5, 'tanh'),
        keras.layers.Dense(4),
    ])
    reference.build(x.shape)
    reference.set_weights([
        variable.numpy()
        for dense in (*model.hidden, model.output)
        for variable in (dense.linear.w, dense.linear.b)
    ])
    np.testing.assert_allclose(logits, reference(x), rtol=1e-5, atol=1e-6)

  def test_dropout(self):
    model = models.create('mlp', 4, hidden_sizes=(50,), dropout_rate=0.5)
    x = tf.ones([2, 8])
    evaluated = model(x, is_training=False)
    one = model(x, is_training=True, seed=[0, 1])
    self.assertNotAllClose(evaluated, one)
    self.assertNotAllClose(model(x, is_training=True, seed=[0, 2]), one)
    np.testing.assert_array_equal(model(x, is_training=True, seed=[0, 1]), one)
    with self.assertRaisesRegex(ValueError, 'seed: '):
      model(x, is_training=True)

  def test_each_layer_has_a_mask_of_its_own(self):
    model = models.create('mlp', 2, hidden_sizes=(64, 64), dropout_rate=0.5)
    masks = []
    dropout = model.dropout
    model.dropout = (
        lambda x, *args: masks.append(dropout(tf.ones_like(x), *args)) or x
    )
    model(tf.ones([1, 8]), is_training=True, seed=[0, 1])
    self.assertBetween(np.mean(masks[0] != masks[1]), 0.2, 0.8)

  def assertNotAllClose(self, one, other):
    self.assertGreater(np.abs(one - other).max(), 1e-3)

  def test_without_hidden_layers_it_is_linear(self):
    model = models.create('mlp', 3, hidden_sizes=())
    model.build((None, 4))
    self.assertEqual(
        list(variables.named(model)), ['output/linear/b', 'output/linear/w']
    )

  @parameterized.parameters(
      ({'hidden_sizes': (0,)}, 'hidden_sizes'),
      ({'activation': 'step'}, 'activation'),
      ({'dropout_rate': 1.0}, 'rate'),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      models.create('mlp', 10, **arguments)


if __name__ == '__main__':
  absltest.main()
