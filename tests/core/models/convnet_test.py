"""Tests of the small convolutional network."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import models, variables


class ConvNetTest(parameterized.TestCase):

  def test_the_documented_number_of_parameters(self):
    model = models.create('convnet', 10)
    model.build((None, 28, 28, 1))
    sizes = [v.shape.num_elements() for v in variables.named(model).values()]
    self.assertEqual(sum(sizes), 421642)

  @parameterized.parameters((8, 8, 3), (7, 5, 1))
  def test_equals_keras(self, *image_shape):
    model = models.create('convnet', 4, channels=(3, 5), hidden_size=6)
    x = np.random.default_rng(0).normal(size=(3, *image_shape))
    x = x.astype(np.float32)
    logits = model(x, is_training=False)
    # Keras pools after the activation, the model before: the same.
    convolution = lambda filters: keras.layers.Conv2D(
        filters, 3, padding='same', activation='relu'
    )
    reference = keras.Sequential([
        convolution(3),
        keras.layers.MaxPool2D(padding='same'),
        convolution(5),
        keras.layers.MaxPool2D(padding='same'),
        keras.layers.Flatten(),
        keras.layers.Dense(6, 'relu'),
        keras.layers.Dense(4),
    ])
    reference.build(x.shape)
    parts = [*model.convolutions, model.hidden.linear, model.output.linear]
    reference.set_weights([v.numpy() for p in parts for v in (p.w, p.b)])
    np.testing.assert_allclose(logits, reference(x), rtol=1e-4, atol=1e-5)

  def test_dropout(self):
    model = models.create('convnet', 4, channels=(4,), hidden_size=16)
    x = tf.ones([2, 8, 8, 1])
    one = model(x, is_training=True, seed=[0, 1]).numpy()
    other = model(x, is_training=True, seed=[0, 2]).numpy()
    self.assertGreater(np.abs(one - other).max(), 1e-3)
    # Two examples that are equal have masks of their own.
    self.assertGreater(np.abs(one[0] - one[1]).max(), 1e-3)
    evaluated = model(x, is_training=False).numpy()
    np.testing.assert_allclose(evaluated[0], evaluated[1], rtol=1e-6)
    with self.assertRaisesRegex(ValueError, 'seed: '):
      model(x, is_training=True)

  @parameterized.parameters(
      ({'channels': (0,)}, 'channels'),
      ({'hidden_size': 0}, 'hidden_size'),
      ({'activation': 'step'}, 'activation'),
      ({'dropout_rate': -1.0}, 'rate'),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      models.create('convnet', 10, **arguments)


if __name__ == '__main__':
  absltest.main()
