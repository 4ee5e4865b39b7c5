"""Tests of launch.tasks.features."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, models
from launch import programs
from launch.tasks import features

_IMAGES = tf.constant([[[[0], [255]]]], tf.uint8)


class FeaturesTest(parameterized.TestCase):

  def test_images_are_scaled_and_normalised(self):
    model = models.create('mlp', 2)
    inputs = features.of(model, ['image'])({'image': _IMAGES})
    np.testing.assert_allclose(np.ravel(inputs), [0, 1])
    inputs = features.of(model, ['image'], mean=[0.5], std=[0.25])
    np.testing.assert_allclose(np.ravel(inputs({'image': _IMAGES})), [-2, 2])
    # Those who scale themselves, of an export.
    scaled = tf.cast(_IMAGES, tf.float32) / 255
    np.testing.assert_allclose(np.ravel(inputs({'image': scaled})), [-2, 2])

  def test_what_is_derived_of_an_image(self):
    model = models.create('wide_and_deep', 2)
    inputs = features.of(model, ['image'])({'image': _IMAGES})
    self.assertCountEqual(inputs, model.input_names)

  def test_numbers_and_categories(self):
    model = models.create('tabular', 1, vocabulary_sizes=(3,))
    batch = {'numbers': tf.ones([1, 2]), 'categories': tf.zeros([1, 1])}
    self.assertEqual(
        list(features.of(model, list(batch))(batch)), ['numbers', 'categories']
    )
    only = features.of(model, ['categories'])(batch)
    self.assertEqual(list(only), ['categories'])

  def test_a_model_that_says_nothing(self):
    model = layers.Dense(1)
    batch = {'a': tf.ones([1, 2]), 'picture': _IMAGES}
    self.assertIs(features.of(model, ['a'])(batch), batch['a'])
    both = features.of(model, ['a', 'picture'])(batch)
    np.testing.assert_allclose(np.ravel(both['picture']), [0, 1])

  def test_one_of_another_name(self):
    batch = {'numbers': tf.ones([1, 2])}
    inputs = features.of(models.create('mlp', 2), ['numbers'])
    self.assertIs(inputs(batch), batch['numbers'])

  @parameterized.parameters(
      ('mlp', ['image', 'numbers'], 'has numbers as well'),
      ('wide_and_deep', ['numbers'], 'takes the input .*gives: numbers'),
      ('tabular', ['image', 'tokens'], "takes the input 'numbers'.*gives: bag"),
  )
  def test_what_does_not_fit(self, name, given, message):
    with self.assertRaisesRegex(programs.UserError, f'--model.*{message}'):
      features.of(models.create(name, 2), given)


if __name__ == '__main__':
  absltest.main()
