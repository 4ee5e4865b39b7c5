"""Preprocessing against NumPy, eager, in a graph and under XLA."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from pipelines import preprocessing
from tests import small_datasets

_IMAGES = np.random.default_rng(0).integers(0, 256, [7, 4, 5, 3], np.uint8)


class PreprocessingTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('scale', preprocessing.scale, _IMAGES, _IMAGES / 255),
      (
          'projections',
          preprocessing.projections,
          _IMAGES.astype(np.float32),
          np.concatenate(
              [_IMAGES.mean(2).reshape(7, -1), _IMAGES.mean(1).reshape(7, -1)],
              axis=1,
          ),
      ),
      ('flatten', preprocessing.flatten, _IMAGES, _IMAGES.reshape(7, 60)),
      (
          'normalize',
          lambda images: preprocessing.normalize(
              images, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
          ),
          _IMAGES.astype(np.float32),
          (_IMAGES - [1.0, 2.0, 3.0]) / [4.0, 5.0, 6.0],
      ),
  )
  def test_values(self, function, images, expected):
    images = tf.constant(images)
    for jit in (None, False, True):
      made = function if jit is None else tf.function(function, jit_compile=jit)
      np.testing.assert_allclose(made(images), expected, rtol=1e-5)

  @parameterized.product(num_levels=(1, 3, 8), jit=(None, False, True))
  def test_words_of_a_bag(self, num_levels, jit):
    pixels = _IMAGES / np.float32(255)
    pixels[0, 0, 0] = [-1, 0, 2]  # What is outside of [0, 1] is clipped.
    images = tf.constant(pixels)
    levels = np.clip(pixels * num_levels, 0, num_levels - 1).astype(int)
    expected = np.zeros([7, 60, num_levels])
    rows, positions = np.indices([7, 60])
    expected[rows, positions, levels.reshape(7, 60)] = 1

    def dense(images):
      bag = preprocessing.bag_of_words(images, num_levels)
      self.assertEqual(bag.shape, [7, 60 * num_levels])
      return tf.scatter_nd(bag.indices, bag.values, bag.shape)

    if jit is not None:
      dense = tf.function(dense, jit_compile=jit)
    np.testing.assert_array_equal(dense(images), expected.reshape(7, -1))
    bag = preprocessing.bag_of_words(images, num_levels)
    tf.debugging.assert_equal(bag.indices, tf.sparse.reorder(bag).indices)

  def test_a_bag_of_an_unknown_batch_size(self):
    images = tf.constant(_IMAGES / np.float32(255))
    spec = tf.TensorSpec([None, *images.shape[1:]])
    bag = tf.function(preprocessing.bag_of_words, input_signature=[spec])
    for size in (7, 0):
      np.testing.assert_array_equal(
          tf.sparse.to_dense(bag(images[:size])),
          tf.sparse.to_dense(preprocessing.bag_of_words(images))[:size],
      )
    with self.assertRaisesRegex(ValueError, 'num_levels: .*got 0'):
      preprocessing.bag_of_words(images, 0)

  def test_statistics_are_those_of_numpy(self):
    data = small_datasets.in_memory(_IMAGES)
    mean, std = preprocessing.statistics(data)
    scaled = _IMAGES.reshape(-1, 3) / 255
    np.testing.assert_allclose(mean, scaled.mean(0), rtol=1e-7)
    np.testing.assert_allclose(std, scaled.std(0), rtol=1e-7)

  def test_normalized_by_own_statistics(self):
    data = small_datasets.in_memory(_IMAGES)
    scaled = preprocessing.scale(tf.constant(_IMAGES))
    images = preprocessing.normalize(scaled, *preprocessing.statistics(data))
    np.testing.assert_allclose(
        tf.reduce_mean(images, [0, 1, 2]), np.zeros(3), atol=1e-6
    )
    np.testing.assert_allclose(
        tf.math.reduce_std(images, [0, 1, 2]), np.ones(3), rtol=1e-5
    )

  def test_constant_channel_becomes_zero(self):
    images = tf.fill([2, 3, 3, 1], 0.5)
    normal = preprocessing.normalize(images, [0.5], [0.0])
    np.testing.assert_array_equal(normal, np.zeros([2, 3, 3, 1]))

  def test_half_precision_stays(self):
    images = tf.ones([2, 3, 3, 1], tf.bfloat16)
    normal = preprocessing.normalize(images, [0.5], [0.25])
    self.assertEqual(normal.dtype, tf.bfloat16)
    np.testing.assert_array_equal(tf.cast(normal, tf.float32), 2 + 0 * images)

  def test_refuses(self):
    with self.assertRaisesRegex(TypeError, 'expected uint8, got float32'):
      preprocessing.scale(tf.zeros([1, 2, 2, 1]))
    with self.assertRaisesRegex(ValueError, 'std: expected 3 values'):
      preprocessing.normalize(tf.zeros([1, 2, 2, 3]), 0.5, [1.0, 2.0])

  def test_features_take_scaled_images(self):
    images = preprocessing.scale(tf.constant(_IMAGES))
    shapes = {
        name: function(images).shape.as_list()
        for name, function in preprocessing.FEATURES.items()
    }
    self.assertEqual(
        shapes,
        {'bag': [7, 480], 'image': [7, 4, 5, 3], 'projections': [7, 27]},
    )


if __name__ == '__main__':
  absltest.main()
