"""Encodes texts as integers: the positions of their tokens in a vocabulary."""

from __future__ import annotations

import collections
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from . import errors, spec

PADDING = ''
UNKNOWN = '?'
# The first entries of every vocabulary.
_FIRST = (PADDING, UNKNOWN)
# A larger share of unknown tokens is reported.
_MOST_UNKNOWN = 0.2
_WORD = re.compile(r'\w+|[^\w\s]')
_BYTES = tuple(f'\\x{value:02x}' for value in range(256))


def _words(text: str) -> list[str]:
  return _WORD.findall(unicodedata.normalize('NFC', text).lower())


def _characters(text: str) -> list[str]:
  return list(unicodedata.normalize('NFC', text))


def _trigrams(text: str) -> list[str]:
  padded = f' {unicodedata.normalize("NFC", text).lower()} '
  return [
      padded[start : start + size]
      for size in (1, 2, 3)
      for start in range(len(padded) - size + 1)
  ]


def _bytes(text: str) -> list[str]:
  encoded = text.encode('utf-8', 'surrogatepass')
  return [_BYTES[value] for value in encoded]


TOKENIZERS: Mapping[str, Callable[[str], list[str]]] = {
    'words': _words,
    'characters': _characters,
    'trigrams': _trigrams,
    'bytes': _bytes,
}


def tokens(text: str, tokenizer: str) -> list[str]:
  r"""Splits a text into tokens.

  Args:
    text: The text.
    tokenizer: 'words', in lower case, and punctuation marks; 'characters';
      'trigrams', all runs of one to three characters in lower case, with a
      space before and after the text; 'bytes' of UTF-8. All but the last
      normalize the text to Unicode's form NFC.

  Returns:
    The tokens in order; bytes are named '\x00' to '\xff'.

  Raises:
    DataError: If the tokenizer is unknown.

  Example:
    >>> from pipelines import texts
    >>> texts.tokens("Shall I compare thee?", 'words')
    ['shall', 'i', 'compare', 'thee', '?']
  """
  if tokenizer not in TOKENIZERS:
    raise errors.DataError(
        f'tokenizer: expected one of {", ".join(TOKENIZERS)}, got '
        f'{tokenizer!r}.'
    )
  return TOKENIZERS[tokenizer](text)


def vocabulary(
    values: Iterable[str], tokenizer: str, max_size: int = 20_000
) -> tuple[str, ...]:
  """Lists the tokens in texts, most frequent first.

  Args:
    values: The texts, of the training split only.
    tokenizer: A name in `TOKENIZERS`.
    max_size: The maximum size, including the first two entries; 'bytes' always
      has 258 entries.

  Returns:
    '' for padding, '?' for unknown tokens, and the tokens. Ties are in the
    order of their characters.

  Raises:
    DataError: If the tokenizer is unknown.

  Example:
    >>> from pipelines import texts
    >>> texts.vocabulary(['to be or', 'not to be'], 'words')
    ('', '?', 'be', 'to', 'not', 'or')
  """
  if tokenizer == 'bytes':
    return _FIRST + _BYTES
  return _most_frequent((tokens(v, tokenizer) for v in values), max_size)


def encode(
    values: Iterable[str],
    vocabulary: Sequence[str],
    tokenizer: str,
    length: int,
) -> np.ndarray:
  """Encodes texts.

  Args:
    values: The texts.
    vocabulary: A result of `vocabulary`.
    tokenizer: The name with which it was made.
    length: The number of tokens to keep per text.

  Returns:
    int32 ``[num_texts, length]``, in [0, len(vocabulary)): positions in the
    vocabulary, 1 for unknown tokens, 0 after the end of a text.

  Raises:
    DataError: If the tokenizer is unknown.

  Example:
    >>> from pipelines import texts
    >>> words = ('', '?', 'be', 'to')
    >>> texts.encode(['To be or'], words, 'words', 4).tolist()
    [[3, 2, 1, 0]]
  """
  cut = [tokens(value, tokenizer) for value in values]
  return _positions(cut, vocabulary, length)


def decode(
    positions: Sequence[int], vocabulary: Sequence[str], tokenizer: str
) -> str:
  """Returns a text from its tokens, as far as they preserve it.

  Args:
    positions: The positions returned by `encode`.
    vocabulary: The vocabulary.
    tokenizer: The tokenizer with which it was made.

  Returns:
    The text, with '?' for unknown tokens.

  Example:
    >>> from pipelines import texts
    >>> texts.decode([3, 2, 1, 0], ('', '?', 'be', 'to'), 'words')
    'to be ?'
  """
  found = [vocabulary[position] for position in positions if position]
  if tokenizer == 'bytes':
    values = [_BYTES.index(t) if t in _BYTES else ord(UNKNOWN) for t in found]
    return bytes(values).decode(errors='replace')
  if tokenizer == 'trigrams':  # The single characters come first.
    longer = [i for i, token in enumerate(found) if len(token) > 1]
    found = found[: longer[0]] if longer else found
  return (' ' if tokenizer == 'words' else '').join(found).strip()


def feature(
    splits: Mapping[str, Sequence[str]],
    tokenizer: str,
    max_tokens: int = 256,
    columns: tuple[str, ...] = (),
    max_size: int = 20_000,
    like: spec.Feature | None = None,
) -> tuple[spec.Feature, dict[str, np.ndarray], list[str]]:
  """Makes a text feature; its vocabulary and length come from training.

  Args:
    splits: The texts of each split, one of them 'train'.
    tokenizer: A name in `TOKENIZERS`.
    max_tokens: The maximum number of tokens to keep per text.
    columns: Where the texts come from, such as a column's name.
    max_size: The maximum size of the vocabulary.
    like: A feature whose tokenizer, vocabulary and length to use instead.

  Returns:
    The feature, the tokens of each split as in `encode`, and messages.

  Raises:
    DataError: If the tokenizer is unknown, or no training text has a token.
  """
  tokenizer = like.tokenizer if like else tokenizer
  cut = {
      s: [tokens(v, tokenizer) for v in values] for s, values in splits.items()
  }
  longest = like.shape[0] if like else max(map(len, cut['train']), default=0)
  where = f'{columns[0]}: ' if columns else 'texts: '
  if not longest:
    raise errors.DataError(
        f'{where}no text of the training split has a token; choose a tokenizer '
        f'other than {tokenizer!r}, or another column.'
    )
  length = longest if like else min(longest, max_tokens)
  if like:
    [words] = like.vocabularies
  elif tokenizer == 'bytes':
    words = vocabulary((), tokenizer)
  else:
    words = _most_frequent(cut['train'], max_size)
  arrays = {s: _positions(lists, words, length) for s, lists in cut.items()}
  notes = [
      f'{where}text as {tokenizer}, {len(words):,} in the vocabulary, up to '
      f'{length} in a text.'
  ]
  for split, lists in cut.items():
    if num_cut := sum(len(found) > length for found in lists):
      notes.append(
          f'{where}{num_cut:,} of {len(lists):,} texts of {split} are cut to '
          f'{length} tokens; max_tokens keeps more.'
          if length == max_tokens
          else (
              f'{where}{num_cut:,} of {len(lists):,} texts of {split} are cut '
              f'to {length} tokens, the longest text of the training split.'
          )
      )
    is_unknown, is_padding = (
        arrays[split] == _FIRST.index(each) for each in (UNKNOWN, PADDING)
    )
    num_unknown, num_tokens = int(is_unknown.sum()), int((~is_padding).sum())
    if num_unknown > _MOST_UNKNOWN * num_tokens:
      is_whole = tokenizer == 'words'
      remedy = '; tokenizer=trigrams knows parts' if is_whole else ''
      notes.append(
          f'{where}{num_unknown:,} of {num_tokens:,} tokens of {split} are not '
          f'in the vocabulary{remedy}.'
      )
  made = spec.Feature(
      spec.TEXT,
      (length,),
      'int32',
      columns=columns,
      vocabularies=(words,),
      tokenizer=tokenizer,
  )
  return made, arrays, notes


def _most_frequent(
    lists: Iterable[list[str]], max_size: int
) -> tuple[str, ...]:
  counts: collections.Counter[str] = collections.Counter()
  for found in lists:
    counts.update(found)
  ordered = sorted(counts, key=lambda token: (-counts[token], token))
  return (_FIRST + tuple(ordered))[:max_size]


def _positions(
    lists: Sequence[list[str]], vocabulary: Sequence[str], length: int
) -> np.ndarray:
  """Returns the position of each token, int32 ``[num_texts, length]``."""
  # A question mark may also be a token, whose own entry comes later.
  known = {token: index for index, token in enumerate(vocabulary)}
  encoded = np.zeros([len(lists), length], np.int32)
  for row, found in zip(encoded, lists, strict=True):
    kept = found[:length]
    row[: len(kept)] = [known.get(token, 1) for token in kept]
  return encoded
