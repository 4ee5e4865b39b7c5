"""Tests of random erasing: by hand, and the distribution of its boxes."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized
from scipy import stats

from core import augmentation
from tests.core.augmentation import images as images_lib

_BOXES = np.array(
    [[0, 0, 4, 6], [0, 0, 0, 0], [1, 2, 2, 3], [3, 5, 1, 1], [0, 1, 3, 0]]
)
_SIZE = (200, 100)  # Large, so that rounding to pixels matters little.


def _boxes(probability=1.0, num=20_000, size=_SIZE, **ranges):
  images = tf.zeros([num, *size, 1], tf.uint8)
  return augmentation.random_boxes([1, 2], images, probability, **ranges)


class EraseTest(parameterized.TestCase):

  @parameterized.product(
      dtype=images_lib.DTYPES,
      compiled=images_lib.COMPILED,
      is_noise=(False, True),
  )
  def test_fills_the_boxes(self, dtype, compiled, is_noise):
    images = images_lib.draw(dtype)
    fill = images[::-1] if is_noise else tf.fill(images.shape, 3)
    expected = images.numpy()
    for image, noise, (top, left, height, width) in zip(
        expected, fill.numpy(), _BOXES
    ):
      box = slice(top, top + height), slice(left, left + width)
      image[box] = noise[box]
    function = images_lib.compile(augmentation.erase, compiled)
    actual = function(images, tf.constant(_BOXES), fill)
    self.assertEqual(actual.dtype, dtype)
    np.testing.assert_array_equal(actual, expected)
    if not is_noise:
      np.testing.assert_array_equal(
          augmentation.erase(images, _BOXES, 3), expected
      )


class BoxesTest(parameterized.TestCase):

  def test_how_often(self):
    boxes = _boxes(0.3).numpy()
    is_erased = boxes[:, 2] > 0
    self.assertBetween(is_erased.mean(), 0.285, 0.315)
    np.testing.assert_array_equal(boxes[~is_erased], 0)
    self.assertEqual(np.count_nonzero(_boxes(0.0)), 0)

  def test_lie_inside(self):
    for size in ((28, 28), (3, 8), (5, 2)):
      top, left, height, width = _boxes(size=size).numpy().T
      for start, length, side in ((top, height, 0), (left, width, 1)):
        self.assertGreaterEqual(start.min(), 0)
        self.assertLessEqual((start + length).max(), size[side])
        self.assertLess(length.max(), size[side])
      self.assertTrue(((height == 0) == (width == 0)).all())

  def test_areas_ratios_and_places_without_rejection(self):
    # In such narrow ranges every box fits: nothing bends the distributions.
    area, aspect = (0.05, 0.1), (0.8, 2.0)
    top, left, height, width = _boxes(area=area, aspect=aspect).numpy().T
    self.assertGreater(height.min(), 0)
    share = height * width / math.prod(_SIZE)
    ratio = np.log(height / width)
    low, high = np.log(aspect)
    for values, start, stop in (
        (share, *area),
        (ratio, low, high),
        ((top + 0.5) / (_SIZE[0] - height + 1), 0, 1),
        ((left + 0.5) / (_SIZE[1] - width + 1), 0, 1),
    ):
      # Rounding to whole pixels shows at about 0.01 of the distribution.
      statistic = stats.kstest(values, 'uniform', (start, stop - start))[0]
      self.assertLess(statistic, 0.03)
    self.assertLess(abs(np.corrcoef(share, ratio)[0, 1]), 0.03)

  def test_as_drawn_one_after_the_other(self):
    """The paper's algorithm 1, until a box fits, with a log-uniform ratio."""
    generator = np.random.default_rng(0)
    expected = []
    while len(expected) < 5000:
      share = generator.uniform(0.02, 0.4) * 28 * 28
      ratio = np.exp(generator.uniform(np.log(0.3), -np.log(0.3)))
      sides = np.round([(share * ratio) ** 0.5, (share / ratio) ** 0.5])
      if (sides < 28).all():
        place = generator.integers(0, 28 - sides, endpoint=True)
        expected.append([*place, *sides])
    actual = _boxes(size=(28, 28)).numpy()
    self.assertGreater(actual[:, 2].min(), 0)
    for one, other in zip(actual.T, np.transpose(expected)):
      self.assertLess(stats.ks_2samp(one, other).statistic, 0.03)

  def test_graph_is_eager(self):
    images = tf.zeros([50, 28, 28, 1])
    draw = lambda images: augmentation.random_boxes([1, 2], images)
    function = images_lib.compile(draw, 'unknown batch size')
    np.testing.assert_array_equal(function(images), draw(images))

  def test_xla(self):
    """Its generator is another one: of the same distribution."""
    draw = tf.function(augmentation.random_boxes, jit_compile=True)
    boxes = draw(tf.constant([1, 2]), tf.zeros([5000, 28, 28, 1])).numpy()
    self.assertBetween((boxes[:, 2] > 0).mean(), 0.47, 0.53)
    boxes = boxes[boxes[:, 2] > 0]
    for one, other in zip(boxes.T, _boxes(size=(28, 28)).numpy().T):
      self.assertLess(stats.ks_2samp(one, other).statistic, 0.05)


class NoiseTest(parameterized.TestCase):

  def test_uint8_is_uniform_over_all_values(self):
    noise = augmentation.noise([1, 2], images_lib.draw(shape=(100, 32, 32, 1)))
    self.assertEqual(noise.dtype, tf.uint8)
    counts = np.bincount(noise.numpy().ravel(), minlength=256)
    self.assertGreater(stats.chisquare(counts).pvalue, 1e-4)

  @parameterized.parameters(tf.float32, tf.bfloat16)
  def test_floating_is_uniform_between_0_and_1(self, dtype):
    images = images_lib.draw(dtype, shape=(10, 32, 32, 1))
    noise = augmentation.noise([1, 2], images)
    self.assertEqual(noise.dtype, dtype)
    values = tf.cast(noise, tf.float32).numpy().ravel()
    self.assertLess(stats.kstest(values, 'uniform').statistic, 0.02)


if __name__ == '__main__':
  absltest.main()
