"""Tests of texts as integers."""

from __future__ import annotations

import numpy as np
from absl.testing import absltest, parameterized

from pipelines import errors, texts


class TextsTest(parameterized.TestCase):

  @parameterized.parameters(
      ('words', 'Être, or NOT?', ['être', ',', 'or', 'not', '?']),
      ('words', 'E\u0301te\u0301', ['été']),  # Composed of two characters each.
      ('words', '  ', []),
      ('characters', 'Oe\u0301', ['O', 'é']),
      ('bytes', 'aé', ['\\x61', '\\xc3', '\\xa9']),
      ('trigrams', 'Ab', [' ', 'a', 'b', ' ', ' a', 'ab', 'b ', ' ab', 'ab ']),
  )
  def test_tokens(self, tokenizer, text, expected):
    self.assertEqual(texts.tokens(text, tokenizer), expected)

  def test_refuses_an_unknown_tokenizer(self):
    with self.assertRaisesRegex(errors.DataError, 'words, .*got .word.'):
      texts.tokens('a', 'word')

  def test_vocabulary_is_ordered_by_frequency_then_by_alphabet(self):
    values = ['c b a', 'b c', 'd b']
    found = texts.vocabulary(values, 'words')
    self.assertEqual(found, ('', '?', 'b', 'c', 'a', 'd'))
    self.assertEqual(
        texts.vocabulary(reversed(values), 'words', max_size=4), found[:4]
    )

  @parameterized.parameters(
      ('words', 'to be, or', 'to be , or'),
      ('characters', 'To be', 'To be'),
      ('bytes', 'gr\u00fcn', 'gr\u00fcn'),
      ('trigrams', 'To be', 'to be'),
      ('trigrams', 'x', 'x'),
  )
  def test_decode(self, tokenizer, text, expected):
    words = texts.vocabulary([text], tokenizer)
    [encoded] = texts.encode([text], words, tokenizer, 40)
    self.assertEqual(texts.decode(encoded.tolist(), words, tokenizer), expected)
    unknown = texts.decode([1], words, tokenizer)
    self.assertEqual(unknown, '?')

  def test_encode_pads_cuts_and_marks_what_is_unknown(self):
    words = ('', '?', 'to', 'be')
    encoded = texts.encode(
        ['to be', '', 'not to be to'], words, 'words', length=3
    )
    self.assertEqual(encoded.dtype, np.int32)
    self.assertEqual(encoded.tolist(), [[2, 3, 0], [0, 0, 0], [1, 2, 3]])

  def test_a_question_mark_is_a_token_of_its_own(self):
    words = texts.vocabulary(['what ?', 'why ?'], 'words')
    self.assertEqual(words[:3], ('', '?', '?'))
    encoded = texts.encode(['? !'], words, 'words', 2)
    self.assertEqual(encoded.tolist(), [[2, 1]])

  def test_bytes_need_no_vocabulary(self):
    words = texts.vocabulary(['ignored'], 'bytes')
    self.assertLen(words, 258)
    self.assertEqual(
        texts.encode(['\x00ÿ'], words, 'bytes', 4).tolist(),
        [[2, 0xC3 + 2, 0xBF + 2, 0]],
    )

  def test_a_feature_knows_training_texts_alone(self):
    splits = {'train': ['a b', 'b'], 'test': ['b c a', 'c']}
    feature, arrays, notes = texts.feature(splits, 'words', columns=('words',))
    self.assertEqual(feature.kind, 'text')
    self.assertEqual(feature.vocabularies, (('', '?', 'b', 'a'),))
    self.assertEqual(feature.shape, (2,))
    self.assertEqual(arrays['train'].tolist(), [[3, 2], [2, 0]])
    self.assertEqual(arrays['test'].tolist(), [[2, 1], [1, 0]])
    self.assertRegex(notes[0], '^words: text as words, 4 in the vocab')
    self.assertRegex(notes[1], '1 of 2 texts of test are cut to 2 tokens, the')

  @parameterized.parameters(
      ('words', '; tokenizer=trigrams knows parts'), ('characters', '')
  )
  def test_a_feature_tells_what_is_mostly_unknown(self, tokenizer, remedy):
    splits = {'train': ['a a b'], 'test': ['c d', 'a']}
    _, arrays, notes = texts.feature(splits, tokenizer, columns=('x',))
    unknown, known = (arrays['test'] == 1).sum(), (arrays['test'] > 1).sum()
    self.assertEqual(
        notes[-1],
        f'x: {unknown} of {unknown + known} tokens of test are not in the '
        f'vocabulary{remedy}.',
    )
    *_, notes = texts.feature({'train': ['a b'], 'test': ['a b']}, tokenizer)
    self.assertLen(notes, 1)

  def test_a_feature_counts_what_is_cut(self):
    splits = {'train': ['a b c', 'b', 'a b']}
    feature, arrays, notes = texts.feature(splits, 'words', max_tokens=1)
    self.assertEqual(feature.shape, (1,))
    self.assertEqual(arrays['train'].shape, (3, 1))
    self.assertRegex(notes[1], '2 of 3 texts of train .*max_tokens keeps more')

  def test_a_feature_like_another_takes_its_vocabulary_and_length(self):
    first, _, _ = texts.feature({'train': ['a b b']}, 'words')
    again, arrays, notes = texts.feature(
        {'train': ['b c', 'a a a a']}, 'bytes', like=first
    )
    self.assertEqual(again, first)
    self.assertEqual(arrays['train'].tolist(), [[2, 1, 0], [3, 3, 3]])
    self.assertRegex(notes[1], '1 of 2 texts of train are cut to 3 tokens')

  def test_a_feature_without_tokens_is_refused(self):
    with self.assertRaisesRegex(errors.DataError, '^note: no text of the tr'):
      texts.feature({'train': ['', ' ']}, 'words', columns=('note',))


if __name__ == '__main__':
  absltest.main()
