"""Tests of the model with a loop and a loss from inside."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses, models, objectives, variables

_X = np.random.default_rng(0).normal(size=(3, 2, 4, 1)).astype(np.float32)


def _create(**kwargs):
  model = models.create(
      'reconstructing_mlp', 4, num_units=6, activation='tanh', **kwargs
  )
  model.build((None, *_X.shape[1:]))
  return model


def _dense(layer, x):
  return np.tanh(x @ layer.linear.w.numpy() + layer.linear.b.numpy())


class ReconstructingMLPTest(parameterized.TestCase):

  @parameterized.product(num_loops=(1, 3), num_blocks=(1, 2))
  def test_values_by_hand(self, num_loops, num_blocks):
    model = _create(num_loops=num_loops, num_blocks=num_blocks)
    outputs = model(_X, is_training=True)
    features = _X.reshape([3, 8])
    x = _dense(model.first, features)
    for block in [model.blocks[0]] * num_loops + list(model.blocks[1:]):
      x = x + _dense(block.layers[1], _dense(block.layers[0], x))
    output, reconstruction = model.output.linear, model.reconstruction.linear
    logits = x @ output.w.numpy() + output.b.numpy()
    guess = x @ reconstruction.w.numpy() + reconstruction.b.numpy()
    error = ((guess - features) ** 2).mean(axis=1)
    np.testing.assert_allclose(outputs['logits'], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        outputs['reconstruction'], guess, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        outputs['losses']['reconstruction'], 0.05 * error, rtol=1e-4
    )

  def test_the_loop_changes_the_output_and_shares_its_weights(self):
    model = _create(num_loops=1)
    once = model(_X, is_training=False)['logits'].numpy()
    names = list(variables.named(model))
    model.num_loops = 3
    thrice = model(_X, is_training=False)['logits'].numpy()
    self.assertGreater(np.abs(once - thrice).max(), 1e-3)
    self.assertEqual(list(variables.named(model)), names)
    self.assertEqual(list(variables.named(_create(num_loops=5))), names)

  def test_the_loss_from_inside_reaches_the_objective(self):
    batch = {'image': tf.constant(_X), 'label': tf.constant([0, 1, 2])}
    objective = objectives.supervised(losses.softmax_cross_entropy)
    model = _create(reconstruction_weight=0.5)
    with tf.GradientTape() as tape:
      evaluation = objective(model, batch, None, True)
    outputs = model(_X, is_training=True)
    expected = losses.softmax_cross_entropy(
        batch['label'], outputs['logits']
    ) + 0.5 * losses.squared_error(
        _X.reshape([3, 8]), outputs['reconstruction']
    )
    np.testing.assert_allclose(evaluation.values, expected, rtol=1e-5)
    gradient = tape.gradient(evaluation.values, model.reconstruction.linear.w)
    self.assertTrue(np.any(gradient))

  def test_a_known_size_after_build(self):
    model = _create()
    self.assertEqual(model.reconstruction.linear.w.shape, [6, 8])
    with self.assertRaises(ValueError):
      model.build((None, 9))

  @parameterized.parameters('num_blocks', 'num_loops', 'num_units')
  def test_wrong_numbers(self, argument):
    with self.assertRaisesRegex(ValueError, f'{argument}: .*got 0'):
      models.create('reconstructing_mlp', 4, **{argument: 0})

  @parameterized.parameters(-0.5, float('nan'))
  def test_a_wrong_weight(self, weight):
    with self.assertRaisesRegex(ValueError, f'_weight: .*{weight}'):
      models.create('reconstructing_mlp', 4, reconstruction_weight=weight)


if __name__ == '__main__':
  absltest.main()
