"""Tests of augment: its parts, its seeds, and any number of replicas."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import augmentation
from tests.core.augmentation import images as images_lib

_SEED = (5, 11)
_SIZE = 12
_ALL = dict(flip='alternating', max_shift=2, erasing_probability=0.7)


def _batch(dtype=tf.uint8, shape=(_SIZE, 9, 8, 1)):
  return {
      'image': images_lib.draw(dtype, shape),
      'label': tf.range(shape[0]),
      'index': tf.range(shape[0], dtype=tf.int64) * 7,
      'epoch': tf.ones([shape[0]], tf.int64),
      'weight': tf.ones([shape[0]]),
  }


def _images(seed=_SEED, batch=None, **kwargs):
  return augmentation.augment(**kwargs)(batch or _batch(), seed)['image']


class AugmentTest(parameterized.TestCase):

  def test_by_default_the_batch_is_as_it_was(self):
    batch = _batch()
    augmented = augmentation.augment()(batch, _SEED)
    self.assertEqual(augmented.keys(), batch.keys())
    for name, value in batch.items():
      self.assertIs(augmented[name], value)

  def test_only_the_image_changes(self):
    batch = _batch()
    augmented = augmentation.augment(**_ALL)(batch, _SEED)
    for name, value in batch.items():
      if name != 'image':
        self.assertIs(augmented[name], value)
    self.assertEqual(augmented['image'].shape, batch['image'].shape)

  def test_flips(self):
    batch = _batch()
    mirrored = batch['image'][:, :, ::-1]
    for flip in ('random', 'alternating'):
      images = _images(flip=flip)
      is_mirrored = tf.reduce_all(images == mirrored, axis=[1, 2, 3]).numpy()
      is_same = tf.reduce_all(images == batch['image'], axis=[1, 2, 3]).numpy()
      np.testing.assert_array_equal(is_mirrored, ~is_same)
      self.assertBetween(is_mirrored.sum(), 1, _SIZE - 1)
    np.testing.assert_array_equal(
        is_mirrored,
        augmentation.alternating_flips(batch['index'], batch['epoch']),
    )

  def test_salt_chooses_another_half(self):
    different = _images(flip='alternating') != _images(
        flip='alternating', salt=1
    )
    self.assertTrue(bool(tf.reduce_any(different)))

  def test_shift_and_padding(self):
    ones = dict(_batch(), image=tf.ones([_SIZE, 9, 8, 1]))
    reflected = _images(batch=ones, max_shift=2, padding='reflect')
    np.testing.assert_array_equal(reflected, ones['image'])
    moved = _images(batch=ones, max_shift=2)
    counts = tf.reduce_sum(moved, axis=[1, 2, 3]).numpy()
    self.assertContainsSubset(
        counts, {(9 - i) * (8 - j) for i in range(3) for j in range(3)}
    )
    self.assertGreater(len(set(counts)), 2)

  def test_erasing(self):
    batch = _batch()
    images = _images(erasing_probability=1.0)
    is_kept = np.all(images == batch['image'], axis=-1)
    for mask in ~is_kept:
      rows, columns = mask.any(axis=1), mask.any(axis=0)
      # A rectangle; by chance noise may be the pixel that was there.
      box = rows[:, None] & columns[None, :]
      self.assertBetween(mask.sum(), 0.9 * box.sum() - 1, box.sum())
      self.assertBetween(mask.mean(), 0.005, 0.5)

  @parameterized.parameters(
      dict(flip='random'), dict(max_shift=2), dict(erasing_probability=0.7)
  )
  def test_is_a_function_of_the_seed(self, **kwargs):
    np.testing.assert_array_equal(_images(**kwargs), _images(**kwargs))
    different = _images(**kwargs) != _images(seed=(5, 12), **kwargs)
    self.assertTrue(bool(tf.reduce_any(different)))

  @parameterized.product(
      dtype=images_lib.DTYPES,
      num_replicas=(2, 3),
      flip=('random', 'alternating'),
  )
  def test_replicas_augment_as_one(self, dtype, num_replicas, flip):
    augment = augmentation.augment(**{**_ALL, 'flip': flip})
    batch = _batch(tf.float32 if dtype == tf.bfloat16 else dtype)

    def augmented(part):
      return augment({**part, 'image': tf.cast(part['image'], dtype)}, _SEED)

    np.testing.assert_array_equal(
        images_lib.on_replicas(num_replicas, augmented, batch)['image'],
        augmented(batch)['image'],
    )

  def test_graph_is_eager_and_the_batch_size_may_be_unknown(self):
    batch = _batch()
    augment = augmentation.augment(**{**_ALL, 'flip': 'random'})
    function = images_lib.compile(
        lambda image: augment({'image': image}, _SEED)['image'],
        'unknown batch size',
    )
    np.testing.assert_array_equal(
        function(batch['image']), augment(batch, _SEED)['image']
    )

  def test_xla(self):
    """Its random numbers are others; what they do is the same."""
    batch = _batch(shape=(500, 9, 8, 1))
    run = tf.function(augmentation.augment(**_ALL), jit_compile=True)
    images = run(batch, tf.constant(_SEED))['image']
    self.assertEqual(images.dtype, tf.uint8)
    again = run(batch, tf.constant(_SEED))['image']
    np.testing.assert_array_equal(images, again)
    expected = _images(batch=batch, **_ALL)
    share = [np.mean(np.asarray(x) == 0) for x in (images, expected)]
    self.assertAlmostEqual(*share, delta=0.02)
    alternate = augmentation.augment(flip='alternating')
    run = tf.function(alternate, jit_compile=True)
    np.testing.assert_array_equal(
        run(batch, tf.constant(_SEED))['image'],
        _images(batch=batch, flip='alternating'),
    )


class ErrorTest(parameterized.TestCase):

  @parameterized.parameters(
      ('index', 'batch: it lacks index; alternating flips need'),
      ('epoch', 'batch: it lacks epoch; '),
      ('image', 'batch: expected an image, got label, index, epoch, weight.'),
  )
  def test_a_batch_that_lacks_something(self, name, message):
    batch = _batch()
    del batch[name]
    with self.assertRaisesRegex(ValueError, message):
      _images(batch=batch, flip='alternating')

  def test_a_shift_beyond_the_image(self):
    _images(max_shift=7)
    with self.assertRaisesRegex(ValueError, 'max_shift: .* the 8 pixels'):
      _images(max_shift=8)


if __name__ == '__main__':
  absltest.main()
