"""Tests of views: what they show and how they are averaged."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import augmentation
from tests.core.augmentation import images as images_lib


def _reference(images, padding):
  """The six views, cut out of padded images and mirrored after."""
  mode = {'zero': 'constant', 'reflect': 'reflect'}[padding]
  padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], mode)
  for cut in (images, padded[:, 2:, 2:], padded[:, :-2, :-2]):
    yield from (cut, cut[:, :, ::-1])


class ViewsTest(parameterized.TestCase):

  def test_flip(self):
    images = images_lib.draw()
    one, other = augmentation.flip_views()
    np.testing.assert_array_equal(one.transform(images), images)
    np.testing.assert_array_equal(
        other.transform(images), images.numpy()[:, :, ::-1]
    )
    self.assertEqual((one.weight, other.weight), (0.5, 0.5))

  @parameterized.product(
      padding=('zero', 'reflect'),
      dtype=images_lib.DTYPES,
      compiled=images_lib.COMPILED,
  )
  def test_flip_shift(self, padding, dtype, compiled):
    images = images_lib.draw(dtype)
    views = augmentation.flip_shift_views(padding)
    function = images_lib.compile(
        lambda images: [view.transform(images) for view in views], compiled
    )
    expected = _reference(images.numpy(), padding)
    for view, right in zip(function(images), expected, strict=True):
      self.assertEqual(view.dtype, dtype)
      np.testing.assert_array_equal(view, right)
    self.assertEqual([view.weight for view in views], [0.25] * 2 + [0.125] * 4)

  def test_stack_repeats_all_but_the_image(self):
    batch = {'image': images_lib.draw(), 'label': tf.range(5)}
    stacked = augmentation.stack(augmentation.flip_shift_views(), batch)
    self.assertEqual(stacked['image'].shape, [30, 4, 6, 2])
    np.testing.assert_array_equal(stacked['image'][:5], batch['image'])
    np.testing.assert_array_equal(
        stacked['image'][5:10], batch['image'][:, :, ::-1]
    )
    np.testing.assert_array_equal(stacked['label'], list(range(5)) * 6)

  def test_average_by_hand(self):
    views = [
        augmentation.View(weight, tf.identity) for weight in (0.5, 0.25, 0.25)
    ]
    outputs = {
        'logits': tf.constant(
            [[1.0, 2], [3, 4], [5, 6], [7, 8], [9, 0], [1, 4]]
        ),
        'losses': {'a': tf.constant([1, 2, 3, 4, 5, 6], tf.bfloat16)},
    }
    mean = augmentation.average(views, outputs)
    np.testing.assert_array_equal(mean['logits'], [[4, 2.5], [3.5, 5]])
    np.testing.assert_array_equal(mean['losses']['a'], [2.5, 3.5])
    self.assertEqual(mean['losses']['a'].dtype, tf.bfloat16)

  def test_no_view_and_no_image(self):
    batch = {'image': images_lib.draw()}
    with self.assertRaisesRegex(ValueError, 'views: expected at least one'):
      augmentation.stack([], batch)
    with self.assertRaisesRegex(ValueError, 'views: expected at least one'):
      augmentation.average([], batch)
    with self.assertRaisesRegex(ValueError, 'batch: expected .* got label'):
      augmentation.stack(augmentation.flip_views(), {'label': tf.range(5)})


if __name__ == '__main__':
  absltest.main()
