"""Tests of TFDS sets with other features than images of one class."""

from __future__ import annotations

import tempfile

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from pipelines import errors, sources

_features = tfds.features
_NUM_TRAIN, _NUM_TEST = 24, 6
_ROWS = np.arange(4, dtype=np.uint8)[:, None, None]
_NAMES = ['cat', 'dog', 'hen']


def _table(index):
  return {
      'age': index / 2,
      'town': ('Oslo', 'Rome')[index % 2],
      'sex': index % 2,
      'more': {'height': 1.5 * index},
      'price': float(index),
      'label': index % 3,
  }


_TABLE = {
    'age': np.float32,
    'town': _features.Text(),
    'sex': _features.ClassLabel(names=['f', 'm']),
    'more': {'height': np.float64},
    'price': np.float32,
    'label': _features.ClassLabel(names=_NAMES),
}


def _picture(index):
  image = np.full([4, 4, 3], index, np.uint8)
  return {
      'image': image,
      'mask': (image[..., :1] // 2 + _ROWS) % 3,
      'kinds': [index % 3, 0] if index % 2 else [],
      'caption': f'picture number {index % 3}',
      'label': index % 3,
      'boxes': np.zeros([index % 2, 4], np.float32),
  }


_PICTURE = {
    'image': _features.Image(shape=(4, 4, 3)),
    'mask': _features.LabeledImage(labels=_NAMES, shape=(4, 4, 1)),
    'kinds': _features.Sequence(_features.ClassLabel(names=_NAMES)),
    'caption': _features.Text(),
    'label': _features.ClassLabel(names=_NAMES),
    'boxes': _features.Tensor(shape=(None, 4), dtype=np.float32),
}


class AnyFeaturesTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(cls.folder.cleanup)
    tfds.disable_progress_bar()
    for name, features, example in (
        ('table', _TABLE, _table),
        ('pictures', _PICTURE, _picture),
    ):
      tfds.dataset_builders.store_as_tfds_dataset(
          name=name,
          version='1.0.0',
          features=_features.FeaturesDict(features),
          split_datasets={
              'train': [(i, example(i)) for i in range(_NUM_TRAIN)],
              'test': [(i, example(i)) for i in range(_NUM_TEST)],
          },
          data_dir=cls.folder.name,
          disable_shuffling=True,
      )

  def open(self, name, **options):
    return sources.open_dataset(
        name, data_dir=self.folder.name, **{'validation_examples': 4, **options}
    )

  def test_columns_are_joined(self):
    dataset = self.open('table?label=label')
    spec = dataset.spec
    self.assertEqual(spec['numbers'].columns, ('age', 'more/height', 'price'))
    self.assertEqual(spec['categories'].columns, ('sex',))
    self.assertEqual(spec['categories'].vocabularies, (('', 'f', 'm'),))
    self.assertEqual(spec['town'].kind, 'text')
    self.assertEqual(spec['label'].class_names, tuple(_NAMES))
    self.assertEqual(
        dataset.num_examples, {'train': 20, 'validation': 4, 'test': 6}
    )
    arrays = dataset.split('train').arrays
    rows = [_table(index) for index in range(4, _NUM_TRAIN)]
    np.testing.assert_array_equal(
        arrays['numbers'],
        [[row['age'], row['more']['height'], row['price']] for row in rows],
    )
    np.testing.assert_array_equal(
        arrays['categories'][:, 0], [1 + row['sex'] for row in rows]
    )
    np.testing.assert_array_equal(
        arrays['label'], [row['label'] for row in rows]
    )

  def test_another_target_and_some_inputs(self):
    dataset = self.open('tfds:table?label=price&inputs=age,sex')
    self.assertEqual(list(dataset.spec), ['label', 'numbers', 'categories'])
    self.assertEqual(dataset.spec['label'].kind, 'numbers')
    np.testing.assert_array_equal(
        dataset.split('test').arrays['label'], np.arange(_NUM_TEST)
    )

  @parameterized.parameters(
      ('mask', 'mask', (4, 4)),
      ('kinds', 'classes', (3,)),
      ('label', 'class', ()),
  )
  def test_targets_of_pictures(self, label, kind, shape):
    dataset = self.open(f'pictures?label={label}&inputs=image')
    feature = dataset.spec['label']
    self.assertEqual((feature.kind, feature.shape), (kind, shape))
    self.assertEqual(feature.class_names, tuple(_NAMES))
    expected = [_picture(index)[label] for index in range(_NUM_TEST)]
    if label == 'kinds':
      expected = [[k in kinds for k in range(3)] for kinds in expected]
    if label == 'mask':
      expected = np.array(expected)[..., 0]
    np.testing.assert_array_equal(
        dataset.split('test').arrays['label'], expected
    )

  def test_texts(self):
    dataset = self.open('pictures?label=label&inputs=caption')
    feature = dataset.spec['caption']
    [words] = feature.vocabularies
    first = dataset.split('test').arrays['caption'][0]
    self.assertEqual(
        [words[token] for token in first], ['picture', 'number', '0']
    )

  def test_what_cannot_be_used_is_told(self):
    dataset = self.open('pictures?label=mask')
    self.assertNotIn('boxes', dataset.spec)
    [note] = [note for note in dataset.notes if 'boxes' in note]
    self.assertIn('differs in shape', note)

  def test_resized(self):
    dataset = self.open('pictures?label=mask&inputs=image', image_size=(8, 8))
    arrays = dataset.split('test').arrays
    self.assertEqual(arrays['image'].shape, (_NUM_TEST, 8, 8, 3))
    np.testing.assert_array_equal(
        arrays['label'][:, ::2, ::2],
        [_picture(index)['mask'][..., 0] for index in range(_NUM_TEST)],
    )

  @parameterized.parameters(
      ('pictures?label=masks', {}, "has no 'masks'; it has .*mask"),
      ('pictures?lable=mask', {}, 'did you mean label'),
      ('pictures?label=boxes', {}, 'boxes cannot be predicted: it differs'),
      ('pictures?label=mask&inputs=boxes', {}, 'boxes differs in shape'),
      ('table?label=price', {'memory_budget_gb': 1e-9}, 'more than the memory'),
  )
  def test_refused(self, name, options, words):
    with self.assertRaisesRegex(errors.DataError, words) as context:
      self.open(name, **options)
    self.assertNotIn('\n', str(context.exception))


if __name__ == '__main__':
  absltest.main()
