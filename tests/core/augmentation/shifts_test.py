"""Tests of shifts, against NumPy's padding and by hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized
from scipy import stats

from core import augmentation
from tests.core.augmentation import images as images_lib

_OFFSETS = np.array([[0, 0], [1, -2], [-3, 3], [2, 0], [-1, -1]])
_NUMPY = {'zero': 'constant', 'reflect': 'reflect'}


def _shifted(image, down, right, padding):
  height, width, _ = image.shape
  padded = np.pad(image, [(3, 3), (3, 3), (0, 0)], _NUMPY[padding])
  return padded[3 - down :, 3 - right :][:height, :width]


class ShiftTest(parameterized.TestCase):

  @parameterized.product(
      dtype=images_lib.DTYPES,
      compiled=images_lib.COMPILED,
      padding=tuple(_NUMPY),
  )
  def test_moves_each_image(self, dtype, compiled, padding):
    images = images_lib.draw(dtype)
    function = images_lib.compile(
        lambda images, offsets: augmentation.shift(images, offsets, padding),
        compiled,
    )
    actual = function(images, tf.constant(_OFFSETS))
    self.assertEqual(actual.dtype, dtype)
    expected = [
        _shifted(image, *offset, padding)
        for image, offset in zip(images.numpy(), _OFFSETS)
    ]
    np.testing.assert_array_equal(actual, np.stack(expected))

  @parameterized.parameters(
      ('zero', [[0, 0, 0], [0, 1, 2], [0, 4, 5]]),
      ('reflect', [[5, 4, 5], [2, 1, 2], [5, 4, 5]]),
  )
  def test_by_hand(self, padding, expected):
    image = tf.reshape(tf.range(1, 10), [1, 3, 3, 1])
    moved = augmentation.shift(image, [[1, 1]], padding)
    self.assertEqual(moved[0, :, :, 0].numpy().tolist(), expected)

  def test_what_is_moved_out_is_gone(self):
    images = images_lib.draw()
    for offset in ([4, 0], [-4, 0], [0, 6], [0, -6], [100, 100]):
      moved = augmentation.shift(images, [offset] * 5)
      self.assertEqual(int(tf.math.count_nonzero(moved)), 0)

  def test_pixels_that_are_not_finite_stay_where_they_are(self):
    images = np.ones([1, 4, 4, 1], np.float32)
    images[0, 1, 1] = np.nan
    images[0, 2, 2] = np.inf
    moved = augmentation.shift(images, [[1, 0]]).numpy()[0, :, :, 0]
    expected = [[0] * 4, [1] * 4, [1, np.nan, 1, 1], [1, 1, np.inf, 1]]
    np.testing.assert_array_equal(moved, expected)


class RandomTest(parameterized.TestCase):

  @parameterized.parameters(1, 2, 5)
  def test_all_offsets_equally_often(self, max_shift):
    offsets = augmentation.random_offsets([0, 3], 20_000, max_shift).numpy()
    self.assertEqual(offsets.dtype, np.int32)
    values = range(-max_shift, max_shift + 1)
    counts = [
        ((offsets[:, 0] == down) & (offsets[:, 1] == right)).sum()
        for down in values
        for right in values
    ]
    self.assertEqual(sum(counts), 20_000)  # There are no others.
    self.assertGreater(stats.chisquare(counts).pvalue, 1e-4)

  def test_no_shift(self):
    np.testing.assert_array_equal(
        augmentation.random_offsets([0, 3], 4, 0), np.zeros([4, 2])
    )


if __name__ == '__main__':
  absltest.main()
