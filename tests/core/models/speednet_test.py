"""Tests of the network that trains in few epochs."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, models, variables
from core.models import speednet


def _images(*shape):
  generator = np.random.default_rng(0)
  # Neighbours are alike, as in photographs.
  return np.cumsum(generator.normal(size=shape), axis=1).astype(np.float32)


def _norm(x, ours, is_training):
  """Normalises by hand, with the offset alone."""
  mean, variance = ours.moving_mean, ours.moving_variance
  if is_training:
    mean, variance = tf.nn.moments(x, [0, 1, 2])
  return (x - mean) / tf.sqrt(variance + ours.eps) + ours.offset


def _logits(model, x, is_training):
  """Computes the logits with TensorFlow's operations alone."""
  x = tf.nn.conv2d(
      x,
      tf.concat([model.whitening.filters, -model.whitening.filters], -1),
      1,
      'SAME',
  )
  x = tf.nn.gelu(x + model.whitening.b)
  for block in model.blocks:
    first = None
    for index, (convolution, norm) in enumerate(
        zip(block.convolutions, block.norms)
    ):
      x = tf.nn.conv2d(x, convolution.w, 1, 'SAME')
      if first is None:
        x = tf.nn.max_pool2d(x, 2, 2, 'SAME')
      x = _norm(x, norm, is_training)
      if block.residual and index == len(block.norms) - 1:
        x += first
      x = tf.nn.gelu(x)
      first = x if first is None else first
  return tf.reduce_max(x, [1, 2]) @ model.output.linear.w / 9


class SpeedNetTest(parameterized.TestCase):

  @parameterized.product(
      shape=((8, 8, 1), (14, 7, 3)),
      arguments=({}, {'convolutions_per_block': 3, 'residual': True}),
      is_training=(False, True),
  )
  def test_equals_plain_operations(self, shape, arguments, is_training):
    model = models.create('speednet', 4, channels=(5, 12), **arguments)
    x = _images(6, *shape)
    model.build(x.shape)
    model.initialize(x)
    generator = np.random.default_rng(1)
    for name, variable in variables.named(model).items():
      if name.endswith(('offset', '/b', 'moving_mean', 'moving_variance')):
        variable.assign(generator.uniform(0.5, 2, variable.shape))
    parameters = variables.trainable(model)
    results = []
    for forward in (model, lambda *args: _logits(model, *args)):
      with tf.GradientTape() as tape:
        logits = forward(tf.constant(x), is_training)
        values = tf.nn.log_softmax(logits)[:, 0]
      results.append((logits, tape.gradient(values, parameters)))
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_allclose(
            one, other, rtol=1e-3, atol=1e-4 * np.max(np.abs(other))
        ),
        *results,
    )

  @parameterized.parameters(((16, 32), 19_154), ((64, 256, 256), 1_967_890))
  def test_the_documented_number_of_parameters(self, channels, expected):
    model = models.create('speednet', 10, channels=channels)
    model.build((None, 28, 28, 1))
    parameters = variables.trainable(model)
    self.assertEqual(
        sum(v.shape.num_elements() for v in parameters.values()), expected
    )
    self.assertIn(f'{expected:,}', type(model).__doc__)
    self.assertNotIn('whitening/filters', parameters)
    self.assertIn('whitening/filters', variables.named(model))

  def test_initialize_whitens_the_first_layer(self):
    model = models.create('speednet', 10, channels=(4,), whitening_size=2)
    x = _images(64, 12, 12, 1)
    model.build(x.shape)
    before = {n: v.numpy() for n, v in variables.named(model).items()}
    model.initialize(x)
    np.testing.assert_array_equal(
        model.whitening.filters, layers.whitening_filters(x, 2)
    )
    responses = model.whitening(x)[:, :-1, :-1]  # Less what padding touches.
    covariance = np.cov(np.reshape(responses, [-1, 8])[:, :4].T)
    np.testing.assert_allclose(covariance, np.eye(4), atol=0.02)
    changed = {
        name
        for name, variable in variables.named(model).items()
        if (variable.numpy() != before[name]).any()
    }
    self.assertEqual(changed, {'whitening/filters'})

  def test_without_whitening(self):
    model = models.create('speednet', 3, channels=(4, 6), whitening_size=0)
    x = _images(2, 8, 8, 1)
    model.build(x.shape)
    before = variables.digest(variables.named(model))
    model.initialize(x)
    self.assertEqual(variables.digest(variables.named(model)), before)
    self.assertEqual(model.blocks[0].convolutions[0].w.shape, [3, 3, 1, 4])

  @parameterized.parameters((3, 7), (5, 4))
  def test_convolutions_begin_as_the_identity(self, num_inputs, num_outputs):
    tf.random.set_seed(0)
    filters = speednet.PartialIdentity()(
        [3, 3, num_inputs, num_outputs], tf.float32
    )
    x = _images(2, 6, 6, num_inputs)
    kept = min(num_inputs, num_outputs)
    y = tf.nn.conv2d(x, filters, 1, 'SAME')
    np.testing.assert_array_equal(y[..., :kept], x[..., :kept])
    rest = filters.numpy()[..., kept:]
    bound = (9 * num_inputs) ** -0.5
    self.assertLessEqual(np.abs(rest).max(initial=0), bound)
    if rest.size:
      self.assertGreater(np.abs(rest).max(), 0.9 * bound)

  def test_momentum_is_that_of_every_batch_norm(self):
    model = models.create('speednet', 4, batch_norm_momentum=0.75)
    norms = [norm for block in model.blocks for norm in block.norms]
    self.assertEqual({norm.decay_rate for norm in norms}, {0.75})
    self.assertLen(norms, 6)

  @parameterized.parameters(
      ({'channels': ()}, 'channels: .*none'),
      ({'channels': (16, 0)}, 'channels: .*0'),
      ({'convolutions_per_block': 1}, 'convolutions_per_block: .*1'),
      ({'whitening_size': -1}, 'whitening_size: .*-1'),
      ({'activation': 'step'}, 'activation'),
      ({'logit_scale': 0.0}, 'logit_scale: .*0'),
      ({'batch_norm_momentum': 1.0}, 'momentum'),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      models.create('speednet', 10, **arguments)


if __name__ == '__main__':
  absltest.main()
