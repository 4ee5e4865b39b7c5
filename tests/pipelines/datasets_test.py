"""Tests of data sets of arrays, and of their identities.

Covers: splits.
"""

from __future__ import annotations

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from pipelines import datasets, errors, spec

_SPEC = spec.Spec({
    'numbers': spec.Feature('numbers', (2,), 'float32', columns=('a', 'b')),
    'label': spec.Feature('class', (), 'int64', ('no', 'yes')),
})


def _arrays(num_examples, seed=0):
  generator = np.random.default_rng(seed)
  return {
      'numbers': generator.normal(size=[num_examples, 2]).astype(np.float32),
      'label': generator.integers(0, 2, num_examples),
  }


class DatasetTest(parameterized.TestCase):

  def test_splits_of_arrays(self):
    arrays = {'test': _arrays(3), 'train': _arrays(5)}
    data = datasets.of_arrays('some', arrays, _SPEC, ['a note'])
    self.assertEqual(data.num_examples, {'train': 5, 'test': 3})
    self.assertEqual(data.notes, ['a note'])
    self.assertTrue(data.is_resident)
    for name, some in arrays.items():
      for feature, array in data.split(name).arrays.items():
        np.testing.assert_array_equal(array, some[feature])

  def test_a_split_that_is_not_there(self):
    data = datasets.of_arrays(
        'some', {'train': _arrays(2)}, _SPEC, left_out={'test': 'no labels'}
    )
    with self.assertRaisesRegex(errors.DataError, r"'test' \(no labels\); .*t"):
      data.split('test')
    with self.assertRaisesRegex(errors.DataError, 'no split train'):
      datasets.of_arrays('some', {'test': _arrays(2)}, _SPEC)

  def test_opens_once_and_late(self):
    split = datasets.in_memory(_arrays(4), _SPEC)
    opener = mock.Mock(return_value=split)
    data = datasets.Dataset(
        'some',
        _SPEC,
        {'train': opener},
        num_examples={'train': 4},
        is_resident=True,
    )
    opener.assert_not_called()
    data.check()
    self.assertIs(data.split('train'), split)
    opener.assert_called_once_with()

  @parameterized.parameters(
      ({'numbers': np.zeros([2, 2], np.float32)}, 'expected the features'),
      ({**_arrays(2), 'more': np.zeros(2)}, 'expected the features'),
      ({**_arrays(2), 'label': np.zeros(3, np.int64)}, 'equally many examples'),
      ({**_arrays(2), 'label': np.zeros(2, np.int32)}, 'label: .*int64'),
      ({**_arrays(2), 'numbers': np.zeros([2, 3], np.float32)}, 'numbers: .*2'),
  )
  def test_arrays_that_are_not_of_the_features(self, arrays, message):
    with self.assertRaisesRegex(errors.DataError, message):
      datasets.in_memory(arrays, _SPEC)


class ChecksumsTest(absltest.TestCase):

  def test_any_change_of_an_example_shows(self):
    arrays = _arrays(2_500)
    before = datasets.checksums(arrays)
    self.assertEqual((before.dtype, before.shape), (np.uint32, (2_500,)))
    for feature, index in (('numbers', 7), ('label', 2_400)):
      changed = {name: array.copy() for name, array in arrays.items()}
      changed[feature][index] += 1
      differing = np.flatnonzero(datasets.checksums(changed) != before)
      self.assertEqual(differing.tolist(), [index])

  def test_names_the_first_difference(self):
    before = {'train': np.arange(5), 'test': np.arange(3)}
    self.assertIsNone(datasets.first_difference(before, before))
    for now, expected in (
        ({**before, 'test': np.array([0, 9, 8])}, 'example 1 of test'),
        ({**before, 'train': np.arange(4)}, 'example 4 of train: it had 5'),
        ({'train': np.arange(5)}, 'split test, which was there'),
        ({**before, 'validation': np.arange(1)}, 'validation, which is now'),
    ):
      found = datasets.first_difference(before, now)
      self.assertIn(expected, found)


if __name__ == '__main__':
  absltest.main()
