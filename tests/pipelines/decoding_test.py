"""A split is decoded once, and again when its files have changed.

Covers: records.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import tempfile
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from pipelines import decoding, records
from tests import small_datasets

_SHAPE = (8, 8, 3)
_MAPS = pathlib.Path('/proc/self/smaps')


class DecodedTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    small_datasets.write(self.folder, num_train=12, num_test=0)
    self.prepared = pathlib.Path(self.folder, 'tiny_shapes', '1.0.0')
    self.decode = self.enter_context(
        mock.patch.object(decoding, '_decode', wraps=decoding._decode)
    )

  def decoded(self, image_size=None):
    builder = tfds.builder('tiny_shapes', data_dir=self.folder)
    shape = (*(image_size or _SHAPE[:2]), 3)
    return decoding.decoded(builder, 'train', shape, image_size)

  def assert_whole(self, data):
    images, labels = small_datasets.arrays(12, _SHAPE)
    for image, label in zip(data.images, data.labels):
      place = np.flatnonzero((images == image).all(axis=(1, 2, 3)))
      self.assertEqual(labels[place], label)
    self.assertLen({image.tobytes() for image in data.images}, 12)

  def test_second_time_reads_the_cache(self):
    first, second = self.decoded(), self.decoded()
    self.assertEqual(self.decode.call_count, 1)
    self.assert_whole(first)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.labels, second.labels)

  def test_sizes_have_caches_of_their_own(self):
    self.assertEqual(self.decoded((4, 4)).images.shape, (12, 4, 4, 3))
    self.assertEqual(self.decoded((5, 4)).images.shape, (12, 5, 4, 3))
    self.assertEqual(self.decoded((4, 4)).images.shape, (12, 4, 4, 3))
    self.assertEqual(self.decode.call_count, 2)

  def test_decodes_what_was_prepared_again(self):
    self.decoded()
    cache = tempfile.mkdtemp(dir=self.folder)
    shutil.copytree(self.prepared / '.decoded', cache, dirs_exist_ok=True)
    shutil.rmtree(self.prepared)
    small_datasets.write(self.folder, num_train=12, num_test=0)
    shutil.move(cache, self.prepared / '.decoded')
    self.assert_whole(self.decoded())
    self.assertEqual(self.decode.call_count, 2)

  @parameterized.parameters('images.npy', 'labels.npy')
  def test_decodes_again_what_was_cut_short(self, name):
    self.decoded()
    (path,) = self.prepared.glob(f'.decoded/train-*/{name}')
    path.write_bytes(path.read_bytes()[:-1])
    self.assert_whole(self.decoded())
    self.assertEqual(self.decode.call_count, 2)
    self.assert_whole(self.decoded())
    self.assertEqual(self.decode.call_count, 2)

  def test_goes_on_where_nothing_can_be_written(self):
    (self.prepared / '.decoded').write_text('in the way')
    self.assert_whole(self.decoded())

  def test_goes_on_where_the_disk_is_full(self):
    with mock.patch.object(np, 'save', side_effect=OSError('full')):
      self.assert_whole(self.decoded())
    self.assertEmpty(list(self.prepared.glob('.decoded/train-*')))


class ResizeTest(absltest.TestCase):

  def test_averages_pixels_and_rounds(self):
    with tempfile.TemporaryDirectory() as folder:
      small_datasets.write(folder, num_train=2, num_test=0)
      builder = tfds.builder('tiny_shapes', data_dir=folder)
      example = next(iter(records.encoded(builder, 'train')))
      whole = records.decode(builder, example['image'], None)
      half = records.decode(builder, example['image'], (4, 4))
    self.assertEqual(half.dtype, tf.uint8)
    self.assertEqual(half.shape, (4, 4, 3))
    # Antialiased: every pixel of the image counts, so the mean stays.
    self.assertAlmostEqual(np.mean(half), np.mean(whole), delta=5)
    np.testing.assert_array_equal(
        records.decode(builder, example['image'], (8, 8)), whole
    )


class ReleaseTest(absltest.TestCase):

  @absltest.skipUnless(_MAPS.exists(), 'tells what of a file is in memory')
  def test_gives_back_memory_and_loses_nothing(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = pathlib.Path(folder, 'images.npy')
    expected = np.arange(1 << 20, dtype=np.int32)
    np.save(path, expected)
    images = np.load(path, mmap_mode='r')
    part = images[10:].reshape([-1, 2])
    np.testing.assert_array_equal(images, expected)
    self.assertGreaterEqual(_resident_kilobytes(path), 4096)
    decoding.release(part)
    self.assertEqual(_resident_kilobytes(path), 0)
    np.testing.assert_array_equal(part.ravel(), expected[10:])

  def test_arrays_in_memory_are_left_alone(self):
    images = np.arange(6).reshape([2, 3])
    decoding.release(images)
    np.testing.assert_array_equal(images, [[0, 1, 2], [3, 4, 5]])


def _resident_kilobytes(path):
  """Returns how much of a mapped file counts as this process' memory."""
  found = re.search(
      rf'{re.escape(str(path))}\n(?:.*\n)*?Rss: +(\d+) kB', _MAPS.read_text()
  )
  return int(found[1])


if __name__ == '__main__':
  absltest.main()
