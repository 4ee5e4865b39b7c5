"""Splits by a hash of each example's key: adding one example moves no other.

The key is what an example is known by: the path of an image, the bytes of a
row. The first eight bytes of its SHA-256 are a number in [0, 1): below 0.8 the
example is for training, below 0.9 for validation, else for the test. Splits
that the data have of their own stay as they are; what is missing of the three
is taken out of 'train' by the same rule. So equal examples never lie in two
splits that were made by hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .. import errors, options

TRAIN, VALIDATION, TEST = SPLITS = ('train', 'validation', 'test')
# Other names of splits, in folders and columns.
ALIASES = {'val': VALIDATION, 'valid': VALIDATION, 'dev': VALIDATION}
# Leaves a split out.
NONE = 'none'
_TRAIN_BELOW = 0.8
_VALIDATION_BELOW = 0.9


def fraction(key: bytes) -> float:
  """Returns where a key lies in [0, 1).

  Args:
    key: What the example is known by.

  Returns:
    The first eight bytes of the key's SHA-256, over 2^64.
  """
  return int.from_bytes(hashlib.sha256(key).digest()[:8], 'big') / 2**64


def split_of(key: bytes) -> str:
  """Returns the split of an example.

  Args:
    key: What the example is known by.

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
  """Which examples of which of the data's own splits make a split."""

  own: str
  indices: np.ndarray


class Parts(NamedTuple):
  """The splits of a data set.

  Attributes:
    parts: Each split, in the order of `SPLITS`.
    left_out: Why a split of these is left out, by its name.
    notes: Lines that a user should see.
  """

  parts: dict[str, Part]
  left_out: dict[str, str]
  notes: list[str]

  def place(self, split: str, index: int) -> str:
    """Describes where an example of a split is in the data."""
    part = self.parts[split]
    return f'example {part.indices[index]} of {part.own}'


def choose(
    keys: Mapping[str, Sequence[bytes]], chosen: options.Options
) -> Parts:
  """Chooses the examples of each split, in their own order.

  Args:
    keys: The keys of the examples of each split that the data have of their
      own; of undivided data, all as 'train'.
    chosen: `validation_split` and `test_split`, each an own split's name,
      'none' or None for the split of that name, else by hash; and
      `validation_examples`, how many to hold out, those of the smallest
      fractions.

  Returns:
    The splits.

  Raises:
    DataError: If there is no such split, or it holds no example.
  """
  if chosen.validation_examples is not None and chosen.validation_split:
    raise errors.DataError(
        f'validation_examples: {chosen.validation_examples}, while '
        f'validation_split is {chosen.validation_split!r}; give one of the two.'
    )
  if not keys.get(TRAIN):
    raise errors.DataError(
        f'dataset: there is no example to train on in {", ".join(keys)}.'
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
  """Returns the own split that serves as a split, if any does."""
  if name == NONE:
    return None
  if name is None:
    return split if keys.get(split) else None
  others = [own for own in keys if own != TRAIN]
  own = ALIASES.get(name, name)
  if own not in others:
    raise errors.DataError(
        f'{split}_split: {name!r} is no split of the data to score; expected '
        f'{", ".join([*others, NONE])}. (Slices are for sets of TFDS.)'
    )
  if not keys[own]:
    raise errors.DataError(f'{split}_split: {name!r} holds no example.')
  return own


def _places(
    fractions: np.ndarray, hashed: Sequence[str], num_held_out: int | None
) -> np.ndarray:
  """Returns the split of each example of the data's own 'train'."""
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
          f'[0, {len(remaining)}), the training examples.'
      )
    order = np.argsort(fractions[remaining], kind='stable')
    places[remaining[order[:num_held_out]]] = VALIDATION
  return places


def _without_empty(parts: dict[str, Part], hashed: Sequence[str]) -> Parts:
  """Leaves out what no hash fell into, and says what the hashes did."""
  sizes = {split: len(part.indices) for split, part in parts.items()}
  if not sizes[TRAIN]:
    raise errors.DataError(
        'dataset: no example is left to train on by the hash of its key; give '
        'more examples, or validation_split=none and test_split=none.'
    )
  left_out = {
      split: 'the hash of no example falls into it'
      for split in hashed
      if not sizes[split]
  }
  notes = [f'split {split}: {why}; left out.' for split, why in
           left_out.items()]
  if made := [split for split in hashed if sizes[split]]:
    counts = [f'{split} {sizes[split]:,}' for split in (TRAIN, *made)]
    notes.append(f'splits by the hash of each example: {", ".join(counts)}.')
  kept = {s: parts[s] for s in SPLITS if s in parts and s not in left_out}
  return Parts(kept, left_out, notes)
