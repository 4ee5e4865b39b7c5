"""Sets are opened by name, or refused in one line."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from pipelines import datasets, in_memory, sources, streams
from tests import small_datasets


class OpenDatasetTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())

  def open(self, name='tiny_shapes', **arguments) -> sources.ImageDataset:
    return sources.open_dataset(name, data_dir=self.folder, **arguments)

  def assert_refused(self, words: str, **arguments):
    with self.assertRaisesRegex(sources.DataError, words) as context:
      self.open(**arguments)
    self.assertNotIn('\n', str(context.exception))

  def test_describes_the_set(self):
    small_datasets.write(
        self.folder, num_train=24, num_test=6, image_shape=(8, 6, 1)
    )
    dataset = self.open()
    self.assertEqual(dataset.name, 'tiny_shapes')
    self.assertEqual(dataset.version, '1.0.0')
    self.assertEqual(dataset.spec['image'].shape, (8, 6, 1))
    self.assertEqual(dataset.spec['label'].num_classes, 4)
    self.assertEqual(dataset.spec['label'].class_names, ('0', '1', '2', '3'))
    self.assertEqual(
        dataset.num_examples, {'train': 22, 'validation': 2, 'test': 6}
    )

  @parameterized.product(num_shards=(1, 3), budget=(1.0, 0.0))
  def test_membership_ignores_shards(self, num_shards, budget):
    reference = tempfile.TemporaryDirectory()
    self.addCleanup(reference.cleanup)
    small_datasets.write(reference.name, num_train=24)
    small_datasets.write(self.folder, num_train=24, num_shards=num_shards)
    whole = sources.open_dataset(
        'tiny_shapes', data_dir=reference.name, validation_examples=0
    ).split('train')
    dataset = self.open(validation_examples=7, memory_budget_gb=budget)
    for split, part in (('validation', slice(7)), ('train', slice(7, None))):
      data = dataset.split(split)
      loaded = next(iter(data.keys().batch(99).map(data.load)))
      for name, array in whole.arrays.items():
        np.testing.assert_array_equal(loaded[name], array[part])
      num_examples = dataset.num_examples[split]
      np.testing.assert_array_equal(loaded['index'], np.arange(num_examples))

  @parameterized.parameters((None, 5, 12), (0, None, 12), (3, 3, 9))
  def test_own_validation_split(self, held_out, num_validation, num_train):
    small_datasets.write(
        self.folder, num_train=12, num_validation=5, num_test=0
    )
    dataset = self.open(validation_examples=held_out)
    self.assertEqual(dataset.num_examples.get('validation'), num_validation)
    self.assertEqual(dataset.num_examples['train'], num_train)
    self.assertNotIn('test', dataset.num_examples)
    with self.assertRaisesRegex(sources.DataError, "no 'test'; it has train"):
      dataset.split('test')

  def test_budget_decides_on_streaming(self):
    small_datasets.write(self.folder)  # 300 images of 192 bytes.
    for budget, kind in (
        (58e-6, in_memory.InMemorySplit),
        (57e-6, streams.Streamed),
    ):
      data = self.open(memory_budget_gb=budget).split('train')
      self.assertIsInstance(data, kind)

  @parameterized.parameters(0, 1 << 40)
  def test_streams_from_the_cache_where_the_disk_has_room(self, free):
    small_datasets.write(self.folder, num_train=24, num_shards=2)
    usage = mock.Mock(free=free)
    with mock.patch.object(shutil, 'disk_usage', return_value=usage):
      dataset = self.open(validation_examples=7, memory_budget_gb=0.0)
      dataset.split('train')
    cached = pathlib.Path(self.folder).glob('*/*/.decoded/train-*')
    self.assertLen(list(cached), free > 0)
    whole = self.open(validation_examples=7).split('train')
    data = dataset.split('train')
    loaded = next(iter(data.keys().batch(99).map(data.load)))
    np.testing.assert_array_equal(loaded['image'], whole.arrays['image'])
    np.testing.assert_array_equal(loaded['label'], whole.arrays['label'])

  def test_streamed_sets_are_known_by_their_files(self):
    small_datasets.write(self.folder, num_train=24, num_test=6, num_shards=2)

    def checksums(free=1 << 40, **arguments):
      usage = mock.Mock(free=free)
      with mock.patch.object(shutil, 'disk_usage', return_value=usage):
        return self.open(memory_budget_gb=0.0, **arguments).checksums()

    before = checksums(free=0)
    self.assertEqual(
        {split: len(known) for split, known in before.items()},
        {'train': 22, 'validation': 2, 'test': 6},
    )
    self.assertLen(set(before['train']), 2)
    self.assertIsNone(datasets.first_difference(before, checksums()))
    prepared = pathlib.Path(self.folder, 'tiny_shapes', '1.0.0')
    [second] = prepared.glob('*-train.*-00001-of-00002')
    second.write_bytes(second.read_bytes() + b'more')
    self.assertEqual(
        datasets.first_difference(before, checksums(free=0)),
        f'example {np.flatnonzero(np.diff(before["train"]))[0] + 1} of train',
    )

  def test_examples_are_opened_once(self):
    small_datasets.write(self.folder, num_train=12, num_test=0)
    dataset = self.open()
    self.assertIs(dataset.split('train'), dataset.split('train'))

  def test_sizes_that_vary_need_image_size(self):
    small_datasets.write(self.folder, num_train=12, sizes_vary=True)
    self.assert_refused('image_size: .* differ in size')
    for budget in (1.0, 0.0):
      dataset = self.open(image_size=(4, 6), memory_budget_gb=budget)
      self.assertEqual(dataset.spec['image'].shape, (4, 6, 3))
      data = dataset.split('train')
      loaded = next(iter(data.keys().batch(11).map(data.load)))
      self.assertEqual(loaded['image'].shape, (11, 4, 6, 3))

  def test_plain_integers_are_counted(self):
    label = tfds.features.Scalar(np.int32)
    small_datasets.write(self.folder, num_classes=3, features={'label': label})
    dataset = self.open()
    self.assertEqual(dataset.spec['label'].num_classes, 3)
    self.assertEqual(dataset.spec['label'].class_names, ('0', '1', '2'))
    self.assertEqual(dataset.split('test').arrays['label'].dtype, np.int64)

  def test_other_features_are_left_unread(self):
    label = tfds.features.ClassLabel(num_classes=4)
    small_datasets.write(
        self.folder, features={'label': label, 'index': np.int64}
    )
    self.assertEqual(self.open().split('train').num_examples, 220)

  @parameterized.parameters(1.0, 0.0)
  def test_labels_outside_the_classes(self, budget):
    label = tfds.features.Scalar(np.int64)
    small_datasets.write(
        self.folder, num_test=0, features={'label': label}, labels_from=-2
    )
    with self.assertRaisesRegex(
        sources.DataError, r'split train: example .* label -[12].*\[0, 2\)'
    ):
      self.open(memory_budget_gb=budget).check()

  @parameterized.parameters(
      ({'image': None, 'label': np.int64}, 'nothing to predict label from'),
      ({'target': np.int64}, "no 'label'; it has image .*target .*label=NAME"),
      (
          {
              'image': tfds.features.Image(shape=(8, 8, 3), dtype=np.uint16),
              'label': np.int64,
          },
          'uint16',
      ),
  )
  def test_refuses_other_features(self, features, words):
    small_datasets.write(self.folder, features=features)
    self.assert_refused(words)

  def test_refuses(self):
    small_datasets.write(self.folder, num_train=12, num_test=0)
    for size in (-1, 12):
      self.assert_refused(f'{size} is not in', validation_examples=size)
    self.assert_refused('did you mean tiny_shapes', name='tiny_shape')
    self.assert_refused('did you mean fashion_mnist', name='fashion_mnis')
    self.assert_refused("cannot make '../up'", name='../up')
    self.assert_refused('image_size: .* got', image_size=(0, 3))

  def test_needs_train(self):
    small_datasets.write(self.folder, num_train=0)
    self.assert_refused("no split 'train'; it has test")


if __name__ == '__main__':
  absltest.main()
