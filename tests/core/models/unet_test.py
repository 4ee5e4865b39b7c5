"""Tests of the U-Net: its layers by other operations, any size, replicas."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    distribution,
    metrics,
    models,
    objectives,
    optimizers,
    training,
    variables,
)
from tests import virtual_devices
from tests.core.conformance import member

_SIZES = ((1, 1), (5, 7), (8, 8), (9, 16))


def _images(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _create(**kwargs):
  model = models.create('unet', 3, **{'channels': (4, 5, 6), **kwargs})
  model.build((None, 8, 8, 2))
  generator = np.random.default_rng(1)
  for variable in model.trainable_variables:
    fan_in = np.prod(variable.shape[:-1])
    variable.assign(generator.normal(0.1, fan_in**-0.5, variable.shape))
  return model


def _convolved(block, x):
  for convolution in block.convolutions:
    x = tf.nn.relu(tf.nn.conv2d(x, convolution.w, 1, 'SAME') + convolution.b)
  return x


def _by_other_operations(model, x):
  """Computes the logits with poolings and transposed convolutions."""
  skips = []
  for block in model.down:
    x = _convolved(block, x)
    skips.append(x)
    x = tf.nn.max_pool2d(x, 2, 2, 'SAME')
  x = skips.pop()
  while skips:
    skip = skips.pop()
    level = len(skips)
    w = model.expansions[level].w.numpy()
    size = w.shape[-1] // 4
    # [inputs, rows, columns, outputs] to [rows, columns, outputs, inputs]
    filters = w.reshape([-1, 2, 2, size]).transpose([1, 2, 3, 0])
    batch_size, height, width, _ = x.shape
    x = tf.nn.conv2d_transpose(
        x, filters, [batch_size, 2 * height, 2 * width, size], 2, 'VALID'
    )[:, : skip.shape[1], : skip.shape[2]]
    x = _convolved(model.up[level], tf.concat([skip, x], axis=-1))
  return tf.nn.conv2d(x, model.output.w, 1, 'SAME') + model.output.b


def _objective(model, batch, seed, is_training):
  """Averages over the pixels of an image."""
  logits = model(batch['image'], is_training, seed)
  values = tf.nn.sparse_softmax_cross_entropy_with_logits(
      batch['label'], logits
  )
  guesses = tf.argmax(logits, axis=-1, output_type=tf.int32)
  hits = tf.cast(guesses == batch['label'], tf.float32)
  return objectives.Evaluation(
      tf.reduce_mean(values, axis=[1, 2]),
      tf.reduce_mean(hits, axis=[1, 2]),
      tf.zeros([]),
  )


def _scenes(num_batches, size=12):
  """Draws bright and dark rectangles on a grey ground, under noise."""
  generator = np.random.default_rng(0)
  labels = np.zeros([num_batches, size, 9, 11], np.int32)
  for image in labels.reshape([-1, 9, 11]):
    for kind in (1, 2):
      row, column = generator.integers(0, 5, 2)
      image[row : row + 4, column : column + 5] = kind
  images = np.array([0.5, 1.0, 0.0])[labels]
  images += generator.normal(0, 0.15, labels.shape)
  return {
      'image': images[..., np.newaxis].astype(np.float32),
      'label': labels,
      'weight': np.ones([num_batches, size], np.float32),
  }


class UNetTest(parameterized.TestCase):

  def test_the_documented_number_of_parameters(self):
    model = models.create('unet', 2)
    model.build((None, 32, 32, 1))
    sizes = [v.shape.num_elements() for v in model.trainable_variables]
    self.assertIn(f'{sum(sizes):,}', ' '.join(type(model).__doc__.split()))

  @parameterized.parameters((4, 5, 6), (4,), (3, 4, 5, 6))
  def test_equals_other_operations(self, *channels):
    model = _create(channels=channels, with_batch_norm=False)
    for size in _SIZES:
      x = _images(2, *size, 2)
      logits = model(x, is_training=False)
      self.assertEqual(logits.shape, [2, *size, 3])
      np.testing.assert_allclose(
          logits, _by_other_operations(model, x), rtol=1e-4, atol=1e-4
      )

  def test_sizes_that_are_unknown_while_tracing(self):
    model = _create(channels=(4, 5))
    traced = tf.function(
        lambda x: model(x, is_training=False),
        input_signature=[tf.TensorSpec([None, None, None, 2])],
    )
    for size in _SIZES:
      x = _images(2, *size, 2)
      np.testing.assert_allclose(
          traced(x), model(x, is_training=False), rtol=1e-4, atol=1e-4
      )
    self.assertEqual(traced.experimental_get_tracing_count(), 1)

  def test_levels_see_farther(self):
    x = _images(1, 24, 24, 2)
    other = x.copy()
    other[0, 0, 0] += 1
    reach = {}
    for channels in ((4,), (4, 5, 6)):
      model = _create(channels=channels, with_batch_norm=False)
      change = model(x, is_training=False) - model(other, is_training=False)
      rows = np.flatnonzero(np.abs(change[0]).max(axis=(1, 2)) > 1e-9)
      reach[len(channels)] = rows.max()
    self.assertEqual(reach[1], 2)  # Two convolutions, a pixel each.
    self.assertGreater(reach[3], 8)

  def test_batch_norm_is_an_option(self):
    model = _create()
    untrained = variables.untrained(model)
    norms = [n for n in untrained if n.endswith('moving_mean')]
    self.assertLen(norms, 2 * (3 + 2))
    x = _images(2, 8, 8, 2)
    model(x, is_training=True)
    for name in norms:
      self.assertTrue(np.any(untrained[name]), name)
    self.assertNotIn('down/0/convolutions/0/b', variables.named(model))
    plain = _create(with_batch_norm=False)
    self.assertEmpty(variables.untrained(plain))
    self.assertIn('down/0/convolutions/0/b', variables.named(plain))
    momenta = {
        norm.decay_rate
        for norm in (
            models.create('unet', 2, batch_norm_momentum=0.75).down[0].norms
        )
    }
    self.assertEqual(momenta, {0.75})

  def test_dropout(self):
    model = _create(dropout_rate=0.5)
    x = _images(2, 8, 8, 2)
    one = model(x, is_training=True, seed=[0, 1])
    self.assertGreater(np.abs(one - model(x, True, [0, 2])).max(), 1e-3)
    with self.assertRaisesRegex(ValueError, 'seed: '):
      model(x, is_training=True)

  @parameterized.parameters(
      ({'channels': ()}, 'channels: .*none'),
      ({'channels': (4, 0)}, 'channels: .*0'),
      ({'batch_norm_momentum': 1.0}, 'batch_norm_momentum: '),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      models.create('unet', 2, **arguments)

  def _train(self, num_replicas, scenes, optimizer, **kwargs):
    strategy = virtual_devices.mirrored(num_replicas)
    tf.random.set_seed(0)
    with strategy.scope():
      model = models.create('unet', 3, channels=(6, 8), **kwargs)
      model.build((None, 9, 11, 1))
      state = training.TrainState(model, optimizer)
    metric = metrics.collection({'accuracy': metrics.mean()})
    step = training.make_train_step(_objective, optimizer, metric, strategy)
    dataset = tf.data.Dataset.from_tensor_slices(scenes)
    batches = strategy.experimental_distribute_dataset(dataset)
    values = [training.summarize(metric, step(state, b)) for b in batches]
    self.assertEmpty(distribution.unequal_replicas(state.named_variables()))
    return state, values

  def test_learns_rectangles(self):
    _, values = self._train(
        1, _scenes(60), optimizers.adam(1e-2), activation='elu'
    )
    accuracies = [float(each['accuracy']) for each in values]
    self.assertGreater(np.mean(accuracies[-10:]), 0.95)
    # Of the ground alone it would be right as often as that.
    self.assertLess(accuracies[0], 0.8)

  def test_replicas_are_one(self):
    self._assert_replicas_are_one(2, with_batch_norm=False)

  @pytest.mark.slow
  def test_replicas_are_one_with_batch_norm(self):
    self._assert_replicas_are_one(3, with_batch_norm=True)

  def _assert_replicas_are_one(self, num_replicas, **kwargs):
    results = []
    for number in (1, num_replicas):
      state, values = self._train(
          number,
          _scenes(3),
          optimizers.sgd(0.05, 0.9),
          activation='elu',
          **kwargs,
      )
      weights = variables.named(state.model)
      totals = {f'loss {i}': v['loss'] for i, v in enumerate(values)}
      results.append({
          name: np.asarray(value)
          for name, value in {**weights, **totals}.items()
      })
    member.assert_same(results[1], results[0], 1e-4)


if __name__ == '__main__':
  absltest.main()
