"""Damage is one line that names split, file and example, in every path.

Covers: diagnosis, errors, labels, stores, streams.
"""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import shutil
import tempfile
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from pipelines import decoding, errors, labels, preprocessing, sources, streams
from tests import small_datasets
from tests.pipelines import damages

_SPLITS = ('train', 'validation', 'test')
# (the budget of memory in GB, the free bytes of the disk)
_PATHS = {
    'resident': (1.0, 1 << 40),
    'resident, no cache': (1.0, 0),
    'streamed, decoded': (0.0, 1 << 40),
    'streamed, records': (0.0, 0),
}
_DAMAGES = {**damages.EXAMPLES, **damages.FILES}
_ALL = [*itertools.product(_DAMAGES, _PATHS, _SPLITS)]
_TURNS = [
    (damage, [*_PATHS][i % len(_PATHS)], _SPLITS[i % len(_SPLITS)])
    for i, damage in enumerate(_DAMAGES)
]


class PreparedTest(parameterized.TestCase):
  """Has a set of two files in each split, written once."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.whole = pathlib.Path(cls.enter_context(tempfile.TemporaryDirectory()))
    small_datasets.write(
        cls.whole, num_train=14, num_validation=10, num_test=12, num_shards=2
    )

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(
        self.enter_context(tempfile.TemporaryDirectory()), 'data'
    )
    shutil.copytree(self.whole, self.root)
    self.folder = self.root / 'tiny_shapes' / '1.0.0'

  def open(self, path='resident', **arguments) -> sources.ImageDataset:
    budget, free = _PATHS[path]
    usage = mock.Mock(free=free)
    with mock.patch.object(shutil, 'disk_usage', return_value=usage):
      dataset = sources.open_dataset(
          'tiny_shapes',
          data_dir=self.root,
          memory_budget_gb=budget,
          **arguments,
      )
      dataset.check()
    return dataset

  @contextlib.contextmanager
  def assert_refused(self, *words: str):
    with self.assertRaises(errors.DataError) as context:
      yield
    message = str(context.exception)
    self.assertNotIn('\n', message)
    self.assertEndsWith(message, '.')
    for word in words:
      self.assertRegex(message, word)


def _read(dataset: sources.ImageDataset, split: str) -> list[int]:
  data = dataset.split(split)
  found = []
  with streams.explained(data):
    for batch in data.keys().batch(5).map(data.load):
      found += batch['label'].numpy().tolist()
  return found


class DamageTest(PreparedTest):

  def check(self, damage: str, path: str, split: str) -> None:
    damages_it, reason = _DAMAGES[damage]
    damages_it(self.folder, split)
    example = (
        f'example {{}} \\(record {damages.RECORD} of '
        f'.*tiny_shapes-{split}.tfrecord-00001'
    )
    first = {'train': 7, 'validation': 5, 'test': 6}[split]
    words = [f'tiny_shapes, split {split}', reason, str(self.folder)]
    if damage in damages.EXAMPLES:
      words.append(example.format(first + damages.RECORD))
    elif damage not in ('says none', 'says fewer than none'):
      words.append(f'tiny_shapes-{split}.tfrecord-0000')
    words.append('backup|prepare the data set again')
    if split != 'train':
      words.append(f'{split}_split=none')
    others = {f'{name}_split': 'none' for name in _SPLITS[1:] if name != split}
    with self.assert_refused(*words):
      dataset = self.open(path, **others)
      # Records are decoded, and their labels seen, as they are read.
      self.assertEqual(path, 'streamed, records')
      _read(dataset, split)

  # Each damage once; the paths and the splits take turns.
  @parameterized.parameters(*_TURNS)
  def test_is_named(self, damage, path, split):
    self.check(damage, path, split)

  @parameterized.parameters(*_ALL)
  @pytest.mark.slow
  def test_is_named_in_every_path_and_split(self, damage, path, split):
    self.check(damage, path, split)

  def test_a_split_that_is_left_out_is_not_looked_at(self):
    for split in ('validation', 'test'):
      _DAMAGES['missing'][0](self.folder, split)
    dataset = self.open(validation_split='none', test_split='none')
    self.assertEqual(dataset.num_examples, {'train': 14})
    self.assertLen(_read(dataset, 'train'), 14)

  def test_is_looked_for_once(self):
    self.open()
    with mock.patch.object(decoding, '_decode') as decode:
      self.open()
      self.open('streamed, decoded')
    decode.assert_not_called()

  def test_resizing_does_not_hide_another_size(self):
    _DAMAGES['other size'][0](self.folder, 'train')
    with self.assert_refused('train', r'\[9,8,3\]'):
      self.open(image_size=(4, 4))

  def test_statistics_name_it_too(self):
    _DAMAGES['no image'][0](self.folder, 'train')
    dataset = self.open(
        'streamed, records', validation_split='none', test_split='none'
    )
    with self.assert_refused('split train', 'example 9'):
      preprocessing.statistics(dataset.split('train'))

  def test_errors_of_others_pass(self):
    dataset = self.open(
        'streamed, records', validation_split='none', test_split='none'
    )
    data = dataset.split('train')
    for kind in (tf.errors.InvalidArgumentError, tf.errors.InternalError):
      with self.assertRaises(kind), streams.explained(data):
        raise kind(None, None, 'of the step')


class UnlabelledTest(PreparedTest):

  @parameterized.parameters(*zip(_PATHS, ('validation', 'test') * 2))
  def test_is_left_out_and_said(self, path, split):
    damages.set_label(self.folder, split, None)
    dataset = self.open(path)
    self.assertNotIn(split, dataset.num_examples)
    (note,) = dataset.notes
    self.assertRegex(note, f'split {split}: all .* labels are -1.*left out')
    with self.assert_refused(f"no '{split}'", 'all .* labels are -1'):
      dataset.split(split)

  def test_is_refused_by_name(self):
    damages.set_label(self.folder, 'test', None)
    with self.assert_refused('split test', 'test_split=none'):
      self.open(test_split='test', validation_split='none')

  def test_training_examples_are_refused(self):
    damages.set_label(self.folder, 'train', None)
    with self.assert_refused('split train: example 0', 'label -1'):
      self.open(validation_split='none', test_split='none')


class CountedClassesTest(parameterized.TestCase):

  @parameterized.parameters(
      # Largest label, how many different ones, whether they are too sparse.
      (999, 2, False),
      (1_000, 2, True),
      (5_000, 400, True),
      (5_000, 600, False),
      (10**9, 2, True),
      (99_999, 20_000, False),
      (100_000, 20_000, True),
  )
  def test_many_ids_are_refused(self, largest, num_ids, refused):
    ids = np.append(np.arange(num_ids - 1), largest)
    builder = mock.Mock()
    builder.name = 'faces'
    if not refused:
      names = labels.counted_classes(builder, [ids, ids[:1]])
      self.assertLen(names, largest + 1)
      return
    with self.assertRaisesRegex(errors.DataError, f'faces .*{largest:,}.*gaps'):
      labels.counted_classes(builder, [ids[:1], ids])

  def test_through_a_set(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    label = tfds.features.Scalar(np.int64)
    small_datasets.write(
        folder,
        num_train=8,
        num_test=4,
        features={'label': label},
        labels_from=10**9,
    )
    for budget in (1.0, 0.0):
      with self.assertRaisesRegex(errors.DataError, '1,000,000,003.*100,000'):
        sources.open_dataset(
            'tiny_shapes', data_dir=folder, memory_budget_gb=budget
        )


class OneLineTest(parameterized.TestCase):

  @parameterized.parameters(
      ('first.\nsecond', 'first'),
      ('\n \nsecond:', 'second'),
      ('', 'ValueError'),
      ('{{function_node __wrapped__X}} cut off [Op:Next] name: ', 'cut off'),
      ('No PNG\n\t [[{{node decode}}]]', 'No PNG'),
  )
  def test_takes_the_first_that_says_something(self, text, line):
    self.assertEqual(errors.one_line(ValueError(text)), line)


if __name__ == '__main__':
  absltest.main()
