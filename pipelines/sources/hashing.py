"""Splits by a hash of each example's key, so adding examples moves no others.

The key identifies an example, such as the path of an image or the bytes of a
row. The first eight bytes of its SHA-256 are a number in [0, 1): examples below
0.8 are for training, those below 0.9 for validation, others for testing.
Existing splits of the data are kept; missing ones are taken from 'train' by the
same rule. Equal examples are therefore never in two splits made by hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .. import errors, options

TRAIN, VALIDATION, TEST = SPLITS = ('train', 'validation', 'test')
# Alternative names of splits, in folders and columns.
ALIASES = {'val': VALIDATION, 'valid': VALIDATION, 'dev': VALIDATION}
# Leaves a split out.
NONE = 'none'
_TRAIN_BELOW = 0.8
_VALIDATION_BELOW = 0.9


def fraction(key: bytes) -> float:
  """Maps a key to [0, 1).

  Args:
    key: The key of an example.

  Returns:
    The first eight bytes of the key's SHA-256, divided by 2^64.
  """
  return int.from_bytes(hashlib.sha256(key).digest()[:8], 'big') / 2**64


def split_of(key: bytes) -> str:
  """Returns the split of an example.

  Args:
    key: The key of the example.

  Returns:
    'train', 'validation' or 'test'.

  Example:
    >>> from pipelines.sources import hashing
    >>> [hashing.split_of(key) for key in (b'cat/1.png', b'cat/4.png')]
    ['train', 'test']
  """
  found = fraction(key)
  if found < _TRAIN_BELOW:
    return TRAIN
  return VALIDATION if found < _VALIDATION_BELOW else TEST


class Part(NamedTuple):
  """The indices of a split's examples in one of the data's own splits."""

  own: str
  indices: np.ndarray


class Parts(NamedTuple):
  """The splits of a data set.

  Attributes:
    parts: Each split, in the order of `SPLITS`.
    left_out: The reason for leaving out each missing split, by name.
    notes: Messages for the user.
  """

  parts: dict[str, Part]
  left_out: dict[str, str]
  notes: list[str]

  def place(self, split: str, index: int) -> str:
    """Describes where an example of a split is in the data."""
    part = self.parts[split]
    example = f'example {part.indices[index]} of {part.own}'
    return example if split == part.own else f'{example}, by hash in {split}'


def choose(
    keys: Mapping[str, Sequence[bytes]], chosen: options.Options
) -> Parts:
  """Chooses the examples of each split, in their original order.

  Args:
    keys: The keys of the examples in each of the data's own splits; if there
      are none, all as 'train'.
    chosen: `validation_split` and `test_split`, each the name of an own split,
      'none', or None for the own split of that name or else by hash; and
      `validation_examples`, the number to hold out, by smallest fractions.

  Returns:
    The splits.

  Raises:
    DataError: If a split does not exist or is empty.
  """
  if chosen.validation_examples is not None and chosen.validation_split:
    raise errors.DataError(
        f'validation_examples: {chosen.validation_examples}, but '
        f'validation_split is {chosen.validation_split!r}; give only one of '
        'the two.'
    )
  if not keys.get(TRAIN):
    raise errors.DataError(
        f'dataset: there are no training examples in {", ".join(keys)}.'
    )
  asked = {VALIDATION: chosen.validation_split, TEST: chosen.test_split}
  if chosen.validation_examples is not None:
    asked[VALIDATION] = NONE
  parts: dict[str, Part] = {}
  hashed: list[str] = []
  for split, name in asked.items():
    own = _own(keys, split, name)
    if own:
      parts[split] = Part(own, np.arange(len(keys[own])))
    elif name is None:
      hashed.append(split)
  fractions = np.array([fraction(key) for key in keys[TRAIN]])
  places = _places(fractions, hashed, chosen.validation_examples)
  for split in SPLITS:
    if split in (TRAIN, *hashed) or np.any(places == split):
      parts[split] = Part(TRAIN, np.flatnonzero(places == split))
  return _without_empty(parts, hashed)


def _own(
    keys: Mapping[str, Sequence[bytes]], split: str, name: str | None
) -> str | None:
  if name == NONE:
    return None
  if name is None:
    return split if keys.get(split) else None
  others = [own for own in keys if own != TRAIN]
  own = ALIASES.get(name, name)
  if own not in others:
    raise errors.DataError(
        f'{split}_split: {name!r} is not a split for scoring; expected '
        f'{", ".join([*others, NONE])}. (Slices are for TFDS data sets only.)'
    )
  if not keys[own]:
    raise errors.DataError(f'{split}_split: {name!r} holds no examples.')
  return own


def _places(
    fractions: np.ndarray, hashed: Sequence[str], num_held_out: int | None
) -> np.ndarray:
  places = np.full(fractions.shape, TRAIN, object)
  if VALIDATION in hashed:
    is_there = (fractions >= _TRAIN_BELOW) & (fractions < _VALIDATION_BELOW)
    places[is_there] = VALIDATION
  if TEST in hashed:
    places[fractions >= _VALIDATION_BELOW] = TEST
  if num_held_out:
    remaining = np.flatnonzero(places == TRAIN)
    if not 0 < num_held_out < len(remaining):
      raise errors.DataError(
          f'validation_examples: {num_held_out} is not in '
          f'[0, {len(remaining)}), the number of training examples.'
      )
    order = np.argsort(fractions[remaining], kind='stable')
    places[remaining[order[:num_held_out]]] = VALIDATION
  return places


def _without_empty(parts: dict[str, Part], hashed: Sequence[str]) -> Parts:
  """Leaves out empty splits by hash, and reports the others."""
  sizes = {split: len(part.indices) for split, part in parts.items()}
  if not sizes[TRAIN]:
    raise errors.DataError(
        'dataset: the hashes leave no training examples; give more examples, '
        'or validation_split=none and test_split=none.'
    )
  left_out = {
      split: 'no example has a hash in its range'
      for split in hashed
      if not sizes[split]
  }
  notes = [
      f'split {split}: {why}; left out.' for split, why in left_out.items()
  ]
  if made := [split for split in hashed if sizes[split]]:
    counts = [f'{split} {sizes[split]:,}' for split in (TRAIN, *made)]
    notes.append(f'splits by the hash of each example: {", ".join(counts)}.')
  kept = {s: parts[s] for s in SPLITS if s in parts and s not in left_out}
  return Parts(kept, left_out, notes)
