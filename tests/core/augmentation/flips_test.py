"""Tests of flips, and of the rules that choose them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import augmentation
from tests.core.augmentation import images as images_lib

_INDEX = tf.range(10_000)


def _alternating(epoch, salt=0, index=_INDEX):
  flipped = augmentation.alternating_flips(
      index, tf.fill(index.shape, epoch), salt
  )
  return flipped.numpy()


class FlipTest(parameterized.TestCase):

  @parameterized.product(dtype=images_lib.DTYPES, compiled=images_lib.COMPILED)
  def test_mirrors_what_is_chosen(self, dtype, compiled):
    images = images_lib.draw(dtype)
    flipped = np.array([True, False, False, True, True])
    function = images_lib.compile(augmentation.flip, compiled)
    actual = function(images, tf.constant(flipped))
    self.assertEqual(actual.dtype, dtype)
    expected = np.where(
        flipped[:, None, None, None], images.numpy()[:, :, ::-1], images
    )
    np.testing.assert_array_equal(actual, expected)


class RandomTest(parameterized.TestCase):

  def test_half_of_each_batch_another_one_with_each_seed(self):
    masks = [
        augmentation.random_flips([3, step], 10_000).numpy()
        for step in range(3)
    ]
    for mask in masks:
      self.assertBetween(mask.mean(), 0.48, 0.52)
    for first, second in ((0, 1), (1, 2), (0, 2)):
      same = (masks[first] == masks[second]).mean()
      self.assertBetween(same, 0.48, 0.52)


class AlternatingTest(parameterized.TestCase):

  @parameterized.parameters(0, 7)
  def test_every_example_every_other_epoch(self, salt):
    first = _alternating(0, salt)
    self.assertBetween(first.mean(), 0.48, 0.52)
    for epoch in range(1, 6):
      np.testing.assert_array_equal(
          _alternating(epoch, salt), first ^ bool(epoch % 2)
      )

  def test_the_half_looks_random(self):
    mask = _alternating(0)
    for lag in (1, 2, 3, 4, 8, 10, 64):
      same = (mask[lag:] == mask[:-lag]).mean()
      self.assertBetween(same, 0.47, 0.53, lag)
    self.assertBetween((mask == _alternating(0, 1)).mean(), 0.47, 0.53)
    far = _INDEX.numpy().astype(np.int64) + 2**40
    self.assertBetween(_alternating(0, index=tf.constant(far)).mean(), 0.4, 0.6)

  def test_as_computed_by_hand(self):
    def mixed(x):
      x = (x + 0x9E3779B9) % 2**32
      x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
      x = (x ^ x >> 13) * 0xC2B2AE35 % 2**32
      return x ^ x >> 16

    expected = [mixed(i ^ mixed(5)) % 2 == 1 for i in range(200)]
    self.assertEqual(_alternating(2, 5, tf.range(200)).tolist(), expected)

  @parameterized.product(
      dtype=(tf.int32, tf.int64, tf.uint16), compiled=images_lib.COMPILED
  )
  def test_type_and_compilation_do_not_matter(self, dtype, compiled):
    function = images_lib.compile(augmentation.alternating_flips, compiled)
    epochs = tf.cast(_INDEX % 4, dtype)  # A batch may span two epochs.
    actual = function(tf.cast(_INDEX, dtype), epochs)
    np.testing.assert_array_equal(
        actual, augmentation.alternating_flips(_INDEX, _INDEX % 4)
    )


if __name__ == '__main__':
  absltest.main()
