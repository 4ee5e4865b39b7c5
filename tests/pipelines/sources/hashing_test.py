"""Splits by hash: a rule that anybody can recompute, and that moves nothing."""

from __future__ import annotations

import hashlib

import numpy as np
from absl.testing import absltest, parameterized

from pipelines import errors, options
from pipelines.sources import hashing

_KEYS = [f'cat/{index}.png'.encode() for index in range(500)]


def _choose(keys, **arguments) -> hashing.Parts:
  return hashing.choose(keys, options.Options(**arguments))


def _chosen(parts: hashing.Parts, keys) -> dict[str, set[bytes]]:
  return {
      split: {keys[part.own][index] for index in part.indices}
      for split, part in parts.parts.items()
  }


class HashingTest(parameterized.TestCase):

  def test_the_rule(self):
    """The first byte decides, but where it is on the border."""
    for key in _KEYS:
      first = hashlib.sha256(key).digest()[0]
      expected = (
          'train'
          if first < 204
          else 'validation'
          if 205 <= first < 230
          else 'test'
          if first > 230
          else None
      )
      if expected:
        self.assertEqual(hashing.split_of(key), expected)

  def test_proportions(self):
    sizes = {
        split: len(part.indices)
        for split, part in _choose({'train': _KEYS}).parts.items()
    }
    self.assertEqual(list(sizes), ['train', 'validation', 'test'])
    self.assertEqual(sum(sizes.values()), 500)
    self.assertBetween(sizes['train'], 370, 430)
    self.assertBetween(sizes['test'], 30, 70)

  def test_one_more_example_moves_no_other(self):
    before = _chosen(_choose({'train': _KEYS}), {'train': _KEYS})
    more = [b'cat/new.png', *_KEYS]
    after = _chosen(_choose({'train': more}), {'train': more})
    for split, keys in before.items():
      self.assertEqual(keys, after[split] - {b'cat/new.png'})

  @parameterized.parameters('validation', 'test')
  def test_own_splits_stay_and_the_missing_one_is_taken_from_train(self, own):
    keys = {'train': _KEYS, own: [b'a', b'b']}
    chosen = _chosen(_choose(keys), keys)
    self.assertEqual(chosen[own], {b'a', b'b'})
    other = {'validation': 'test', 'test': 'validation'}[own]
    by_hash = {key for key in _KEYS if hashing.split_of(key) == other}
    self.assertEqual(chosen[other], by_hash)
    self.assertEqual(chosen['train'], set(_KEYS) - by_hash)

  def test_order_is_kept(self):
    part = _choose({'train': _KEYS}).parts['train']
    self.assertTrue(np.all(np.diff(part.indices) > 0))

  @parameterized.parameters(
      ({'validation_split': 'none', 'test_split': 'none'}, ['train']),
      ({'validation_examples': 0}, ['train', 'test']),
      ({'test_split': 'none'}, ['train', 'validation']),
      ({'validation_split': 'extra'}, ['train', 'validation', 'test']),
  )
  def test_splits_that_are_asked_for(self, arguments, expected):
    keys = {'train': _KEYS, 'extra': [b'a']}
    parts = _choose(keys, **arguments)
    self.assertEqual(list(parts.parts), expected)
    num_examples = sum(
        len(part.indices)
        for part in parts.parts.values()
        if part.own == 'train'
    )
    self.assertEqual(num_examples, len(_KEYS))

  def test_so_many_are_held_out(self):
    parts = _choose({'train': _KEYS}, validation_examples=7).parts
    self.assertLen(parts['validation'].indices, 7)
    held_out = [hashing.fraction(_KEYS[i]) for i in parts['validation'].indices]
    rest = [hashing.fraction(_KEYS[i]) for i in parts['train'].indices]
    self.assertLess(max(held_out), min(rest))

  def test_what_no_hash_falls_into_is_left_out(self):
    keys = [key for key in _KEYS if hashing.split_of(key) != 'validation'][:20]
    parts = _choose({'train': keys})
    self.assertIn('no example has a hash', parts.left_out['validation'])
    self.assertRegex(parts.notes[0], 'split validation: .*left out')
    self.assertNotIn('validation', parts.parts)

  @parameterized.parameters(
      ({'validation_split': 'other'}, "'other' is not a split .* extra, none"),
      ({'test_split': 'train[:5]'}, 'Slices are for TFDS data sets'),
      ({'validation_examples': 500}, r'500 is not in \[0, '),
      ({'validation_examples': -1}, r'-1 is not in \[0, '),
      ({'validation_examples': 1, 'validation_split': 'extra'}, 'one of the'),
  )
  def test_refuses(self, arguments, words):
    with self.assertRaisesRegex(errors.DataError, words):
      _choose({'train': _KEYS, 'extra': [b'a']}, **arguments)

  def test_refuses_data_without_training_examples(self):
    with self.assertRaisesRegex(errors.DataError, 'no training examples'):
      _choose({'train': [], 'test': [b'a']})
    keys = [key for key in _KEYS if hashing.split_of(key) == 'test']
    with self.assertRaisesRegex(errors.DataError, 'hashes leave no training'):
      _choose({'train': keys})


if __name__ == '__main__':
  absltest.main()
