"""Tests of the vision transformer."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    training,
    variables,
)

_SMALL = {'hidden_size': 16, 'num_layers': 1, 'num_heads': 2, 'mlp_size': 24}


def _images(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class ViTTest(parameterized.TestCase):

  def test_the_documented_number_of_parameters(self):
    model = models.create('vit', 10)
    model.build((None, 28, 28, 1))
    sizes = [v.shape.num_elements() for v in variables.named(model).values()]
    self.assertEqual(sum(sizes), 138634)

  def test_a_block_by_its_parts(self):
    model = models.create('vit', 3, **_SMALL)
    x = _images(2, 8, 8, 1)
    model.build(x.shape)
    for index, variable in enumerate(variables.named(model).values()):
      generator = np.random.default_rng(index)
      variable.assign(generator.normal(0, 0.3, variable.shape))
    [block] = model.blocks

    def normalized(norm, x):
      centred = x - np.mean(x, axis=-1, keepdims=True)
      deviation = np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-5)
      return centred / deviation * norm.scale.numpy() + norm.offset.numpy()

    tokens = model.embedding(x).numpy()
    tokens = tokens + block.attention(normalized(block.norm_1, tokens)).numpy()
    hidden = block.mlp_1(normalized(block.norm_2, tokens))
    tokens = tokens + block.mlp_2(hidden).numpy()
    expected = model.output(normalized(model.norm, tokens).mean(axis=1))
    np.testing.assert_allclose(
        model(x, is_training=False), expected, rtol=1e-3, atol=1e-4
    )

  @parameterized.parameters('mean', 'class_token')
  def test_without_positions_the_order_of_patches_does_not_matter(
      self, pooling
  ):
    x = _images(3, 8, 8, 1)
    moved = np.concatenate([x[:, 4:], x[:, :4]], axis=1)
    for position, matters in (('none', False), ('learned', True)):
      model = models.create(
          'vit', 4, pooling=pooling, position=position, **_SMALL
      )
      model.build(x.shape)
      if matters:
        model.embedding.table.assign(_images(4, 16))
      change = model(x, is_training=False) - model(moved, is_training=False)
      self.assertEqual(np.abs(change).max() > 1e-3, matters)

  def test_the_class_token_is_a_variable(self):
    model = models.create('vit', 4, pooling='class_token', **_SMALL)
    model.build((None, 8, 8, 1))
    with tf.GradientTape() as tape:
      y = model(_images(3, 8, 8, 1), is_training=False)
    self.assertEqual(variables.named(model)['class_token'].shape, [16])
    self.assertTrue(np.any(tape.gradient(y, model.class_token)))

  def test_dropout(self):
    model = models.create('vit', 4, dropout_rate=0.5, **_SMALL)
    x = tf.ones([2, 8, 8, 1])
    one = model(x, is_training=True, seed=[0, 1]).numpy()
    other = model(x, is_training=True, seed=[0, 2]).numpy()
    self.assertGreater(np.abs(one - other).max(), 1e-3)
    self.assertGreater(np.abs(one[0] - one[1]).max(), 1e-3)
    with self.assertRaisesRegex(ValueError, 'seed: '):
      model(x, is_training=True)

  @parameterized.parameters(
      ({'pooling': 'max'}, "pooling: unknown 'max'"),
      ({'position': 'rotary'}, "position: unknown 'rotary'"),
      ({'num_heads': 3}, 'num_heads: .*divisor .*64.*got 3'),
      ({'num_heads': 0}, 'num_heads: .*got 0'),
      ({'num_layers': -1}, 'num_layers: .*-1'),
      ({'patch_size': 0}, 'patch_size: .*0'),
      ({'mlp_size': 0}, 'mlp_size: .*0'),
      ({'dropout_rate': 1.0}, 'rate: .*1.0'),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      models.create('vit', 10, **arguments)

  def test_images_that_the_patches_do_not_fit(self):
    with self.assertRaisesRegex(ValueError, 'patch_size: 4 .* 10 x 8'):
      models.create('vit', 10).build((None, 10, 8, 1))

  def test_learns_where_a_spot_is(self):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, [150, 32])
    images = generator.normal(0, 0.5, [150, 32, 2, 4, 2, 4])
    rows, columns = np.divmod(labels, 2)
    batch, example = np.indices(labels.shape)
    images[batch, example, rows, :, columns, :] += 2.0
    tf.random.set_seed(0)
    model = models.create('vit', 4, **_SMALL)
    model.build((None, 8, 8, 1))
    optimizer = optimizers.adam(1e-2)
    state = training.TrainState(model, optimizer)
    metric = metrics.collection({'accuracy': metrics.accuracy()})
    objective = objectives.supervised(losses.softmax_cross_entropy)
    iterator = iter(
        tf.data.Dataset.from_tensor_slices({
            'image': images.reshape([150, 32, 8, 8, 1]).astype(np.float32),
            'label': labels,
            'weight': tf.ones([150, 32]),
        })
    )
    step = training.make_train_step(objective, optimizer, metric)
    for _ in range(140):
      step(state, next(iterator))
    evaluate = training.make_eval_step(objective, metric)
    accuracies = [
        training.summarize(metric, evaluate(state, batch))['accuracy']
        for batch in iterator
    ]
    self.assertGreater(np.mean(accuracies), 0.95)


if __name__ == '__main__':
  absltest.main()
