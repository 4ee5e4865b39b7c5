"""Tests of averaged weights."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import averaging, export, models, optimizers, variables
from tests import virtual_devices
from tests.core.export import cases


def _model():
  model = models.create('mlp', 3, hidden_sizes=(4,))
  model.build((None, 2))
  return model


def _weights(model, seed):
  generator = np.random.default_rng(seed)
  return {
      name: generator.normal(size=v.shape).astype(np.float32)
      for name, v in variables.trainable(model).items()
  }


class AverageTest(parameterized.TestCase):

  @parameterized.parameters(0.0, 0.5, 0.9, 0.9999)
  def test_equals_the_unbiased_average_of_the_optimizers(self, decay):
    model = _model()
    average = averaging.ModelAverage(model, decay)
    reference = optimizers.ema(decay)
    state = reference.init(variables.trainable(model))
    update = tf.function(average.update)
    for step in range(20):
      weights = _weights(model, step)
      update(weights)
      _, state = reference.update(weights, state, weights)
      expected = optimizers.ema_average(state, decay)
      for name, variable in variables.trainable(average.model).items():
        np.testing.assert_allclose(
            variable, expected[name], rtol=1e-4, atol=1e-5, err_msg=name
        )
    self.assertEqual(int(average.count), 20)

  def test_by_hand(self):
    # (0.25 * 1 + 0.5 * 2 + 1 * 6) / 1.75
    mean = tf.constant(100.0)
    for count, value in enumerate((1.0, 2.0, 6.0), start=1):
      mean = averaging.average(mean, value, tf.constant(count), 0.5)
    self.assertAlmostEqual(float(mean), 7.25 / 1.75, places=5)

  @parameterized.parameters(0.0, np.nan, np.inf, 1e38)
  def test_what_was_before_the_first_step_does_not_matter(self, before):
    mean = {'w': tf.constant([before, 1.0])}
    values = {'w': tf.constant([0.1, -3e38])}
    for count in (1, tf.constant(1, tf.int64)):
      after = averaging.average(mean, values, count, 0.999)
      np.testing.assert_array_equal(after['w'], values['w'])

  def test_the_average_of_a_constant_is_the_constant(self):
    mean = tf.constant(0.0)
    for count in range(1, 200):
      mean = averaging.average(mean, 3.0, tf.constant(count), 0.9999)
    self.assertEqual(float(mean), 3.0)


class ModelAverageTest(parameterized.TestCase):

  def test_starts_as_the_model_and_leaves_it_alone(self):
    model = _model()
    average = averaging.ModelAverage(model, 0.9)
    x = np.ones([5, 2], np.float32)
    before = model(x, is_training=False).numpy()
    np.testing.assert_array_equal(average.model(x, is_training=False), before)
    weights = _weights(model, 0)
    average.update(weights)
    np.testing.assert_array_equal(model(x, is_training=False), before)
    expected = _model()
    for name, variable in variables.trainable(expected).items():
      variable.assign(weights[name])
    np.testing.assert_allclose(
        average.model(x, is_training=False),
        expected(x, is_training=False),
        rtol=1e-5,
        atol=1e-6,
    )

  def test_shares_what_is_not_trained(self):
    model = models.create('resnet', 3, blocks_per_stage=(1,), channels=(4,))
    model.build((None, 8, 8, 1))
    average = averaging.ModelAverage(model, 0.9)
    ours, theirs = variables.named(average.model), variables.named(model)
    self.assertEqual(list(ours), list(theirs))
    for name, variable in theirs.items():
      self.assertEqual(ours[name] is variable, not variable.trainable, name)
      self.assertEqual(ours[name].trainable, variable.trainable, name)

  def test_can_be_exported(self):
    model = cases.build('convnet')
    average = averaging.ModelAverage(model, 0.9)
    average.update(_weights(model, 0))
    pixels = cases.images(3)
    expected = cases.probabilities(average.model, pixels)
    directory = os.path.join(cases.temporary_folder(self), 'saved_model')
    export.save_saved_model(cases.wrap(average.model), directory)
    run = export.saved_model_runner(directory)
    np.testing.assert_allclose(run(pixels), expected, atol=1e-6)

  def test_under_a_strategy(self):
    with virtual_devices.mirrored(2).scope():
      average = averaging.ModelAverage(_model(), 0.9)
    for name, variable in variables.named(average).items():
      self.assertLen(variable.values, 2, name)
      np.testing.assert_array_equal(*variable.values)

  @parameterized.parameters(-0.1, 1.0, float('nan'))
  def test_a_wrong_decay(self, decay):
    with self.assertRaisesRegex(ValueError, f'decay: .*{decay}'):
      averaging.ModelAverage(_model(), decay)
    with self.assertRaisesRegex(ValueError, f'decay: .*{decay}'):
      averaging.average(0.0, 1.0, 2, decay)

  def test_a_variable_as_decay(self):
    with self.assertRaisesRegex(ValueError, 'decay: .*tf.Variable'):
      averaging.ModelAverage(_model(), tf.Variable(0.5))


if __name__ == '__main__':
  absltest.main()
