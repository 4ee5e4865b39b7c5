"""Data sets of npz files and of functions."""

from __future__ import annotations

import hashlib
import pathlib
import tempfile

import numpy as np
from absl.testing import absltest, parameterized
from sklearn import datasets as sklearn_datasets

from pipelines import errors, options
from pipelines.sources import arrays, hashing

_WHOLE = options.Options(validation_split='none', test_split='none')


class ArraysTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.path = pathlib.Path(folder) / 'data.npz'

  def save(self, **values):
    np.savez(self.path, **values)
    return arrays.of_npz(str(self.path), options.Options())

  def test_splits_by_name(self):
    image = np.arange(5 * 6).reshape(5, 2, 3).astype(np.uint8)
    dataset = self.save(
        train_image=image,
        train_label=['a', 'b', 'b', 'a', 'a'],
        val_image=image[:2],
        val_label=['b', 'b'],
        test_image=image[2:3],
        test_label=['a'],
    )
    self.assertEqual(dataset.name, f'npz:{self.path}')
    self.assertEqual(
        dataset.num_examples, {'train': 5, 'validation': 2, 'test': 1}
    )
    self.assertEqual(dataset.spec['label'].class_names, ('a', 'b'))
    train = dataset.split('train').arrays
    np.testing.assert_array_equal(train['image'], image[..., None])
    self.assertEqual(train['label'].tolist(), [0, 1, 1, 0, 0])
    self.assertTrue(dataset.is_resident)
    self.assertEmpty(dataset.notes)

  def test_splits_by_hash_of_all_bytes_of_an_example(self):
    digits = sklearn_datasets.load_digits()
    image = digits.images[:300].astype(np.uint8)
    label = digits.target[:300].astype(np.int64)
    dataset = self.save(label=label, image=image)
    found = {'train': [], 'validation': [], 'test': []}
    for each, target in zip(image, label):
      digest = hashlib.sha256(each.tobytes() + target.tobytes()).digest()
      tenth = int.from_bytes(digest[:8], 'big') * 10 >> 64
      split = 'train' if tenth < 8 else ('validation', 'test')[tenth - 8]
      found[split].append(each[..., None])
    for split, images in found.items():
      np.testing.assert_array_equal(
          dataset.split(split).arrays['image'], images
      )
    self.assertIn('splits by the hash of each example', dataset.notes[0])
    self.assertLen(dataset.spec['label'].class_names, 10)

  def test_one_more_example_moves_no_other(self):
    """The bytes of strings depend on the longest one, their hash does not."""
    words = np.array([f'w{index}' for index in range(50)])
    label = np.arange(50.0)
    before = self.save(x=words, label=label).split('train').arrays['label']
    more = self.save(
        x=np.append(words, 'a much longer text'), label=np.append(label, 50)
    )
    after = more.split('train').arrays['label']
    self.assertEqual(set(before) - set(after), set())
    self.assertLessEqual(set(after) - set(before), {50.0})

  def test_class_names(self):
    dataset = self.save(
        train_x=np.ones([3, 2]),
        train_label=[0, 1, 0],
        class_names=['no', 'yes'],
        test_x=np.ones([1, 2]),
        test_label=[1],
    )
    self.assertEqual(dataset.spec['label'].class_names, ('no', 'yes'))

  def test_without_a_label_nothing_is_a_target(self):
    dataset = self.save(train_x=np.ones([20, 2]))
    self.assertEqual(dataset.spec.targets, ())
    self.assertEqual(list(dataset.spec.inputs), ['x'])

  @parameterized.parameters(
      ({'x': np.ones(3), 'label': np.ones(2)}, 'label 2'),
      ({'train_x': np.ones(3), 'test_y': np.ones(3)}, 'test has y, train x'),
      ({'test_x': np.ones(3)}, 'the arrays are test_x; expected train_image'),
      ({'train_x': np.ones(3), 'y': np.ones(3)}, 'are train_x, y; expected'),
      (
          {'x_train': np.ones(3), 'x_test': np.ones(2)},
          'are x_train, x_test; expected train_image',
      ),
      ({'x': np.array(3.0)}, "'x' has no axis for examples"),
      ({'x': np.array([None])}, "array 'x' cannot be read: Object arrays"),
      ({'x': np.array(['2020'], 'M8')}, "'x' has dtype datetime64"),
      ({'x': np.ones([0, 2])}, 'no training examples'),
      ({'label': [0, -1] * 20}, "array 'label', example 1 of train: -1;"),
      ({'x': np.ones(3), 'class_names': ['a']}, 'no array `label` to name'),
      ({'weight': np.ones(30)}, "named 'weight', which is reserved"),
      ({}, 'the arrays are none; expected train_image'),
  )
  def test_refuses(self, values, words):
    with self.assertRaisesRegex(errors.DataError, words) as context:
      self.save(**values)
    self.assertNotIn('\n', str(context.exception))
    self.assertStartsWith(str(context.exception), f'dataset: {self.path}: ')

  def test_refuses_damaged_files(self):
    self.save(x=np.arange(10_000.0))
    whole = self.path.read_bytes()
    flipped = bytearray(whole)
    flipped[5_000] ^= 1
    damages = {
        'the file cannot be read': whole[:1000],
        "array 'x' cannot be read: Bad CRC-32": flipped,
        'the file is not an .npz file': b'no array',
    }
    for words, content in damages.items():
      self.path.write_bytes(content)
      with self.assertRaisesRegex(errors.DataError, words):
        arrays.of_npz(str(self.path), options.Options())
    with open(self.path, 'wb') as file:
      np.save(file, np.ones(3))
    with self.assertRaisesRegex(errors.DataError, 'holds one unnamed array'):
      arrays.of_npz(str(self.path), options.Options())
    self.path.unlink()
    with self.assertRaisesRegex(errors.DataError, 'there is no such file'):
      arrays.of_npz(str(self.path), options.Options())
    with self.assertRaisesRegex(errors.DataError, 'it is a directory; expec'):
      arrays.of_npz(str(self.path.parent), options.Options())


class FunctionTest(parameterized.TestCase):

  def open(self, returned, chosen=_WHOLE):
    return arrays.of_function('mine:load', lambda: returned, chosen)

  def test_splits_by_name_and_class_names(self):
    dataset = self.open(
        {
            'train': {'x': [[1.0], [2.0]], 'label': [1, 0]},
            'val': {'x': [[3.0]], 'label': [1]},
            'class_names': ['no', 'yes'],
        },
        options.Options(test_split='none'),
    )
    self.assertEqual(dataset.name, 'mine:load')
    self.assertEqual(dataset.num_examples, {'train': 2, 'validation': 1})
    self.assertEqual(dataset.spec['label'].class_names, ('no', 'yes'))

  def test_arrays_without_splits(self):
    x = np.arange(100.0)
    dataset = self.open({'x': x, 'label': x}, options.Options())
    for split in hashing.SPLITS:
      found = dataset.split(split).arrays
      np.testing.assert_array_equal(found['x'][:, 0], found['label'])
      for value in found['label']:
        key = np.float64(value).tobytes() * 2
        self.assertEqual(hashing.split_of(key), split)

  def test_a_data_set_is_taken_as_it_is(self):
    dataset = self.open({'x': [1.0]})
    self.assertIs(self.open(dataset), dataset)

  def test_lists_bytes_and_objects_of_strings_serve(self):
    dataset = self.open({
        'x': np.array(['a b', 'a'], object),
        'label': [b'no', b'yes'],
    })
    self.assertEqual(dataset.spec['label'].class_names, ('no', 'yes'))
    self.assertEqual(dataset.spec['x'].vocabularies, (('', '?', 'a', 'b'),))

  @parameterized.parameters(
      (None, 'returned NoneType; expected'),
      ({}, 'returned dict; expected'),
      ({'train': {'x': [1.0]}, 'x': [2.0]}, "'train', 'x'; expected all of"),
      ({'x': [[1.0], [1.0, 2.0]]}, "'x': .*; expected examples of equal"),
      ({'x': [1.0, None]}, "'x' has dtype object; expected numbers"),
      ({'test': {'x': [1.0]}}, 'the splits are test; expected one named'),
  )
  def test_refuses(self, returned, words):
    with self.assertRaisesRegex(errors.DataError, words) as context:
      self.open(returned)
    self.assertStartsWith(str(context.exception), 'dataset: mine:load: ')

  def test_what_the_function_raises_is_passed_on(self):
    def load():
      raise KeyError('mine')

    with self.assertRaisesRegex(KeyError, 'mine'):
      arrays.of_function('mine:load', load, _WHOLE)


if __name__ == '__main__':
  absltest.main()
