"""A split is decoded once, and again when its files have changed.

Covers: records.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import shutil
import tempfile
from concurrent import futures
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from pipelines import decoding, errors, files, records, sources, streams
from tests import small_datasets
from tests.pipelines import damages

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

  def decoded(self, image_size=None, tell=lambda note: None):
    builder = tfds.builder('tiny_shapes', data_dir=self.folder)
    shape = (*(image_size or _SHAPE[:2]), 3)
    return decoding.decoded(builder, 'train', shape, image_size, tell=tell)

  def cached(self, name: str) -> pathlib.Path:
    (path,) = self.prepared.glob(f'.decoded/train-*/{name}')
    return path

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

  @parameterized.product(
      name=('images.npy', 'labels.npy', 'fingerprints.npy', 'SHA256'),
      damage=('flipped', 'flipped at the end', 'cut', 'emptied', 'gone'),
  )
  def test_decodes_again_what_is_damaged_and_says_so(self, name, damage):
    self.decoded()
    path = self.cached(name)
    if damage.startswith('flipped'):
      damages.flip(path, 0.99 if 'end' in damage else 0.7)
    elif damage == 'gone':
      path.unlink()
    else:
      os.truncate(path, path.stat().st_size - 9 if damage == 'cut' else 0)
    notes = []
    self.assert_whole(self.decoded(tell=notes.append))
    self.assertEqual(self.decode.call_count, 2)
    self.assertLen(notes, 1)
    self.assertRegex(notes[0], r'train-\w+: .* decoded again\.$')
    self.assert_whole(self.decoded(tell=notes.append))
    self.assertEqual(self.decode.call_count, 2)
    self.assertLen(notes, 1)

  def test_checksums_are_those_of_sha256sum(self):
    self.decoded()
    for line in self.cached('SHA256').read_text().splitlines():
      digest, name = line.split('  ')
      content = self.cached(name).read_bytes()
      self.assertEqual(digest, hashlib.sha256(content).hexdigest())

  def test_several_at_once_decode_once(self):
    with futures.ThreadPoolExecutor(4) as pool:
      for data in pool.map(lambda _: self.decoded(), range(4)):
        self.assert_whole(data)
    self.assertEqual(self.decode.call_count, 1)

  def test_leaves_nothing_of_a_damaged_split(self):
    damages.EXAMPLES['no image'][0](self.prepared, 'train')
    with self.assertRaises(errors.DataError):
      self.decoded()
    self.assertEqual(os.listdir(self.prepared / '.decoded'), ['.lock'])

  def test_goes_on_without_a_damaged_cache_that_cannot_be_replaced(self):
    self.decoded()
    damages.flip(self.cached('images.npy'))
    notes = []
    with mock.patch.object(files, 'lock', side_effect=PermissionError):
      self.assert_whole(self.decoded(tell=notes.append))
    self.assertLen(notes, 1)

  def test_goes_on_where_nothing_can_be_written(self):
    (self.prepared / '.decoded').write_text('in the way')
    self.assert_whole(self.decoded())

  def test_goes_on_where_the_disk_is_full(self):
    with mock.patch.object(np, 'save', side_effect=OSError('full')):
      self.assert_whole(self.decoded())
    self.assertEmpty(list(self.prepared.glob('.decoded/train-*')))


class StreamTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    small_datasets.write(self.folder, num_train=12, num_test=0)

  def open(self) -> sources.ImageDataset:
    return sources.open_dataset(
        'tiny_shapes', data_dir=self.folder, memory_budget_gb=0.0
    )

  def read(self, dataset: sources.ImageDataset) -> np.ndarray:
    data = dataset.split('train')
    with streams.explained(data):
      loaded = data.keys().batch(5).map(data.load)
      return np.concatenate([batch['label'] for batch in loaded])

  def test_damage_is_met_as_it_is_read_and_mended_by_the_next_start(self):
    dataset = self.open()
    labels = self.read(dataset)
    (path,) = pathlib.Path(self.folder).glob('*/*/.decoded/train-*/images.npy')
    # The header takes 128 bytes, an image 192; the first is validated with.
    damages.flip(path, (128 + 192 * 4.5) / path.stat().st_size)
    for damaged in (dataset, self.open()):
      with self.assertRaisesRegex(
          errors.DataError, f'example 4 .*{path.parent} .* checksum.* again'
      ):
        self.read(damaged)
      self.assertFalse((path.parent / 'SHA256').exists())
      (path.parent / 'SHA256').write_text(self.stamp(path.parent))
    (path.parent / 'SHA256').unlink()
    again = self.open()
    np.testing.assert_array_equal(self.read(again), labels)
    self.assertLen(again.notes, 1)

  def stamp(self, folder: pathlib.Path) -> str:
    names = ('images.npy', 'labels.npy', 'fingerprints.npy')
    return ''.join(f'{files.sha256(folder / n)}  {n}\n' for n in names)


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

  @absltest.skipUnless(_MAPS.exists(), 'needs a list of the pages in memory')
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
