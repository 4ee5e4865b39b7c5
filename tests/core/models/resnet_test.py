"""Tests of the residual networks."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import models, variables

_SMALL = {
    'blocks_per_stage': (2, 1),
    'channels': (4, 6),
    'stem_channels': 4,
}


def _keras_logits(model, x, is_training):
  """Computes the logits by Keras' layers with the model's weights."""

  def convolution(x, ours):
    layer = keras.layers.Conv2D(
        ours.w.shape[-1], ours.w.shape[0], ours.stride, 'same', use_bias=False
    )
    layer.build(x.shape)
    layer.set_weights([ours.w.numpy()])
    return layer(x)

  def norm_relu(x, ours):
    layer = keras.layers.BatchNormalization(epsilon=ours.eps)
    layer.build(x.shape)
    values = (ours.scale, ours.offset, ours.moving_mean, ours.moving_variance)
    layer.set_weights([value.numpy() for value in values])
    return tf.nn.relu(layer(x, training=is_training))

  x = convolution(x, model.stem)
  for block in model.blocks:
    activated = norm_relu(x, block.norms[0])
    skip = convolution(activated, block.shortcut) if block.shortcut else x
    branch = convolution(activated, block.convolutions[0])
    branch = norm_relu(branch, block.norms[1])
    x = skip + convolution(branch, block.convolutions[1])
  x = keras.layers.GlobalAveragePooling2D()(norm_relu(x, model.norm))
  return x @ model.output.linear.w + model.output.linear.b


class ResNetTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('wrn_16_1', {}, 175_066),
      ('wrn_16_4', {'width': 4}, 2_748_890),
      ('wrn_40_4', {'width': 4, 'blocks_per_stage': (6, 6, 6)}, 8_949_210),
      (
          'resnet_18',
          {
              'blocks_per_stage': (2, 2, 2, 2),
              'channels': (64, 128, 256, 512),
              'stem_channels': 64,
          },
          11_172_170,
      ),
  )
  def test_the_documented_number_of_parameters(self, arguments, expected):
    model = models.create('resnet', 10, **arguments)
    model.build((None, 32, 32, 3))
    parameters = variables.trainable(model).values()
    self.assertEqual(sum(v.shape.num_elements() for v in parameters), expected)
    self.assertIn(f'{expected:,}', type(model).__doc__)

  @parameterized.product(
      shape=((8, 8, 3), (9, 12, 1)), is_training=(False, True)
  )
  def test_equals_keras(self, shape, is_training):
    model = models.create('resnet', 4, **_SMALL)
    model.build((None, *shape))
    generator = np.random.default_rng(0)
    for name, variable in variables.named(model).items():
      if name.endswith(('scale', 'offset', 'moving_mean', 'moving_variance')):
        variable.assign(generator.uniform(0.5, 2, variable.shape))
    x = generator.normal(size=(5, *shape)).astype(np.float32)
    expected = _keras_logits(model, x, is_training)
    np.testing.assert_allclose(
        model(x, is_training), expected, rtol=1e-4, atol=1e-4
    )

  def test_stages_halve_the_image_and_only_changes_have_a_shortcut(self):
    model = models.create('resnet', 4, **_SMALL)
    x = tf.zeros([1, 16, 16, 3])
    model(x, is_training=False)
    self.assertEqual([b.stride for b in model.blocks], [1, 1, 2])
    self.assertEqual(
        [b.shortcut is None for b in model.blocks], [True, True, False]
    )
    shapes = []
    for block in model.blocks:
      x = block(model.stem(x) if not shapes else x, False, None)
      shapes.append(tuple(x.shape[1:]))
    self.assertEqual(shapes, [(16, 16, 4), (16, 16, 4), (8, 8, 6)])

  def test_training_moves_the_averages(self):
    model = models.create('resnet', 4, **_SMALL)
    x = np.random.default_rng(0).normal(5, 2, (64, 8, 8, 3)).astype(np.float32)
    tf.function(model)(x, is_training=True)
    # After one update they are the batch's statistics.
    np.testing.assert_allclose(
        model(x, is_training=False),
        model(x, is_training=True),
        rtol=1e-4,
        atol=1e-4,
    )

  def test_rates(self):
    model = models.create(
        'resnet', 4, dropout_rate=0.3, stochastic_depth_rate=0.6
    )
    rates = [block.depth.rate for block in model.blocks]
    np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    self.assertEqual({b.dropout.rate for b in model.blocks}, {0.3})

  def test_momentum_is_that_of_every_batch_norm(self):
    model = models.create('resnet', 4, batch_norm_momentum=0.75)
    norms = [model.norm, *(norm for b in model.blocks for norm in b.norms)]
    self.assertEqual({norm.decay_rate for norm in norms}, {0.75})

  @parameterized.parameters('dropout_rate', 'stochastic_depth_rate')
  def test_randomness_follows_the_seed(self, argument):
    model = models.create('resnet', 4, **_SMALL, **{argument: 0.5})
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
    one = model(x, is_training=True, seed=[0, 1])
    np.testing.assert_array_equal(model(x, is_training=True, seed=[0, 1]), one)
    other = model(x, is_training=True, seed=[0, 2])
    self.assertGreater(np.abs(one - other).max(), 1e-3)
    with self.assertRaisesRegex(ValueError, 'seed: '):
      model(x, is_training=True)

  @parameterized.parameters(
      ({'blocks_per_stage': (2, 0)}, 'blocks_per_stage: .*0'),
      ({'blocks_per_stage': ()}, 'blocks_per_stage: '),
      ({'channels': (16, 32)}, 'channels: expected 3 numbers'),
      ({'width': 0}, 'width: .*0'),
      ({'stem_channels': 0}, 'stem_channels: .*0'),
      ({'activation': 'step'}, 'activation'),
      ({'dropout_rate': 1.0}, 'rate'),
      ({'batch_norm_momentum': 1.0}, 'momentum'),
      ({'stochastic_depth_rate': -0.1}, 'rate'),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      models.create('resnet', 10, **arguments)


if __name__ == '__main__':
  absltest.main()
