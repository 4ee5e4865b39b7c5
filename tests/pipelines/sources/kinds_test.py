"""What arrays mean.

Covers: checks, classes.
"""

from __future__ import annotations

import numpy as np
from absl.testing import absltest, parameterized

from pipelines import errors
from pipelines.sources import kinds

_UINT8 = np.zeros([4, 5, 6], np.uint8)
_FLOATS = np.ones([4, 2])


def _infer(name, array, **splits):
  return kinds.infer(name, {'train': np.asarray(array), **splits})


class KindsTest(parameterized.TestCase):

  @parameterized.parameters(
      ('image', _UINT8, 'image', (5, 6, 1), 'uint8'),
      ('image', _UINT8[..., None], 'image', (5, 6, 1), 'uint8'),
      ('image', np.zeros([4, 5, 6, 3], np.uint8), 'image', (5, 6, 3), 'uint8'),
      ('label', [0, 2, 1, 0], 'class', (), 'int64'),
      ('label', [True, False], 'class', (), 'int64'),
      ('label', ['b', 'a', 'b'], 'class', (), 'int64'),
      ('label', [[0, 1, 1], [1, 0, 0]], 'classes', (3,), 'uint8'),
      ('label', [[True], [False]], 'classes', (1,), 'uint8'),
      ('label', _UINT8, 'mask', (5, 6), 'uint8'),
      ('label', _UINT8[..., None].astype(int), 'mask', (5, 6), 'uint8'),
      ('label', [1.5, 2.0], 'numbers', (), 'float32'),
      ('label', _FLOATS, 'numbers', (2,), 'float32'),
      ('x', [1.5, 2.0], 'numbers', (1,), 'float32'),
      ('x', _FLOATS, 'numbers', (2,), 'float32'),
      ('x', np.ones([4, 2, 3]), 'array', (2, 3), 'float32'),
      ('x', np.ones([4, 2, 3], np.int16), 'array', (2, 3), 'int64'),
      ('x', ['a b', 'b'], 'text', (2,), 'int32'),
      ('x', [['a', 'b'], ['c', 'b']], 'categories', (2,), 'int32'),
      ('x', [3, 4, 3], 'categories', (1,), 'int32'),
      ('x', [[3, 4], [3, 5]], 'categories', (2,), 'int32'),
      ('x', [[True], [False]], 'categories', (1,), 'int32'),
      ('tokens', [[3, 4, 0], [3, 5, 1]], 'text', (3,), 'int32'),
  )
  def test_kinds(self, name, array, kind, shape, dtype):
    feature, arrays, _ = _infer(name, array)
    self.assertEqual(feature.kind, kind)
    self.assertEqual(feature.shape, shape)
    self.assertEqual(feature.dtype, dtype)
    self.assertEqual(arrays['train'].dtype.name, dtype)
    self.assertEqual(arrays['train'].shape, (len(array), *shape))

  @parameterized.parameters('label', 'x')
  def test_spaces_around_strings_do_not_count(self, name):
    spaced, plain = [' a', 'a ', ' NA', ''], ['a', 'a', 'NA', '']
    for wrap in (np.array, lambda x: np.array(x)[:, None]):
      if name == 'x' or wrap is np.array:
        (feature, found, _), (expected, arrays, _) = (
            _infer(name, wrap(each)) for each in (spaced, plain)
        )
        self.assertEqual(feature, expected)
        np.testing.assert_array_equal(found['train'], arrays['train'])

  @parameterized.parameters('label', 'x')
  def test_numbers_that_float32_cannot_tell_apart(self, name):
    numbers = np.array([[0.0, 1e9], [1.0, 1e9 + 1], [2.0, 1e9 + 2]])
    with self.assertRaisesRegex(
        errors.DataError, f'array .{name}.: numbers around 1e.09 that differ by'
    ):
      _infer(name, numbers)
    for known in (numbers[:, :1], numbers - [0, 1e9], numbers[:1]):
      _infer(name, known)

  def test_gaps_between_classes_are_told(self):
    mask = np.zeros([2, 3, 3], int)
    mask[:, 1] = 255
    for values in (mask, [0, 255, 0]):
      _, _, notes = _infer('label', values)
      self.assertRegex(' '.join(notes), 'of 256 classes only 2 occur.* as 255')
      self.assertEmpty(_infer('label', np.asarray(values) // 255)[2])

  def test_strings_are_sorted_classes_of_all_splits(self):
    feature, arrays, notes = _infer(
        'label', ['b', 'c', 'b'], test=np.array(['long', 'a', 'c'])
    )
    self.assertEqual(feature.class_names, ('a', 'b', 'c', 'long'))
    self.assertEqual(arrays['train'].tolist(), [1, 2, 1])
    self.assertEqual(arrays['test'].tolist(), [3, 0, 2])
    self.assertRegex(notes[0], 'classes of test without training .*: a, long')

  def test_integers_are_classes_by_name(self):
    splits = {'train': np.array([0, 2])}
    feature = kinds.infer('label', splits).feature
    self.assertEqual(feature.class_names, ('0', '1', '2'))
    named = kinds.infer('label', splits, ['red', 'green', 'blue', 'grey'])
    self.assertEqual(
        named.feature.class_names, ('red', 'green', 'blue', 'grey')
    )

  def test_one_class_each_among_several_is_told(self):
    self.assertRegex(_infer('label', [[0, 1], [1, 0]]).notes[0], 'one class')
    self.assertEmpty(_infer('label', [[0, 1], [1, 1]]).notes)

  def test_categories_are_those_of_training(self):
    feature, arrays, notes = _infer(
        'x', [[10, 2], [9, 2]], test=np.array([[10, 3], [8, 2]])
    )
    self.assertEqual(feature.vocabularies, (('', '9', '10'), ('', '2')))
    self.assertEqual(arrays['train'].tolist(), [[2, 1], [1, 1]])
    self.assertEqual(arrays['test'].tolist(), [[2, 0], [0, 1]])
    self.assertRegex(notes[1], 'x, column 0: 1 of 2 values of test are not')

  def test_a_missing_number_stays_and_is_told(self):
    _, arrays, notes = _infer('x', [[1, np.nan], [2, 3]])
    np.testing.assert_array_equal(arrays['train'], [[1, np.nan], [2, 3]])
    self.assertRegex(notes[0], 'x: 1 of 2 examples of train have a missing')

  @parameterized.parameters(
      ('label', [0, -1, 2, -1], r"'label' of train, example 1: -1; .*2 of 4"),
      ('label', [0, 5_000], '2 different labels up to 5,000'),
      ('label', [1.5, np.nan], 'example 1: nan; expected a finite number'),
      ('label', [[1.5], [np.inf]], 'example 1: inf; expected a finite'),
      ('label', [1e39, 1], 'example 0: 1e.39; expected a finite number'),
      ('label', [[0, 2], [1, 1]], r'int64 \[2, 2\]; expected integers or'),
      ('label', [['a'], ['b']], r'strings \[2, 1\]; expected integers or'),
      ('label', np.zeros([2, 3, 4, 5]), r'float64 .*; expected integers or'),
      ('label', [1j, 2j], 'complex128 .*; expected numbers, booleans or'),
      ('x', [1.5, -np.inf], 'example 1: -inf; expected a finite number'),
      ('x', np.full([2, 1, 3, 4], np.nan), 'example 0: nan; expected a fin'),
      ('x', np.full([2, 3, 4], 'a'), r'strings \[2, 3, 4\]; expected strings'),
      ('tokens', [[1, -3]], 'example 0: -3; expected a token, at least 0'),
  )
  def test_refuses(self, name, array, words):
    with self.assertRaisesRegex(errors.DataError, words) as context:
      _infer(name, array)
    self.assertNotIn('\n', str(context.exception))

  @parameterized.parameters(
      ('x', np.ones([2, 3]), r'test is float64 \[2, 3\], that of train'),
      ('x', np.ones([2, 2], int), r'test is int64 \[2, 2\], that of train'),
  )
  def test_refuses_splits_that_differ(self, name, array, words):
    with self.assertRaisesRegex(errors.DataError, words):
      _infer(name, _FLOATS, test=array)

  @parameterized.parameters(
      ([0, 3], ['a', 'b'], 'example 1: 3; expected less than 2, the number'),
      ([0, 1], ['a', 'a'], 'class_names: two names are equal'),
      (['a', 'c'], ['a', 'b'], 'example 1: c; expected one of class_names'),
      ([[0, 1]], ['a'], '1 names for the 2 classes'),
  )
  def test_refuses_class_names_that_do_not_fit(self, array, names, words):
    with self.assertRaisesRegex(errors.DataError, words):
      kinds.infer('label', {'train': np.array(array)}, names)

  def test_the_place_is_that_of_the_source(self):
    with self.assertRaisesRegex(errors.DataError, "'label', row 8: -1;"):
      kinds.infer(
          'label',
          {'train': np.array([0, -1])},
          place=lambda split, index: f'row {7 + index}',
      )


if __name__ == '__main__':
  absltest.main()
