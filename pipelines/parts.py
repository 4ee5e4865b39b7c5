"""Chooses the examples for training, validation and testing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import tensorflow_datasets as tfds

from . import errors

ORDER = ('train', 'validation', 'test')
# Leaves out validation or testing.
NONE = 'none'
# 1 in 12 of the training examples: 5,000 of Fashion-MNIST's 60,000.
_VALIDATION_DIVISOR = 12


@dataclasses.dataclass(frozen=True)
class Part:
  """The examples [start, stop) of a TFDS split."""

  split: str
  start: int
  stop: int

  @property
  def num_examples(self) -> int:
    """The number of examples."""
    return self.stop - self.start


def choose(
    builder: tfds.core.DatasetBuilder,
    validation_examples: int | None = None,
    validation_split: str | None = None,
    test_split: str | None = None,
) -> dict[str, Part]:
  """Chooses the parts of a data set.

  Args:
    builder: The builder of the prepared data set.
    validation_examples: The number of training examples to hold out, or 0.
      Default: the data set's validation split, or 1 in 12.
    validation_split: A split or a slice of one, such as 'train[:5000]', or
      'none'. Default: determined by `validation_examples`.
    test_split: The same for testing. Default: the split 'test', if any.

  Returns:
    The parts by name: 'train' and, if they exist, 'validation' and 'test'.
    Examples that these take from the split 'train' are not trained on.

  Raises:
    DataError: If a split does not exist, or a part of the data set is empty.
  """
  splits = builder.info.splits
  _whole(builder, 'train')
  if validation_examples is not None and validation_split is not None:
    raise errors.DataError(
        f'validation_examples: {validation_examples}, but validation_split '
        f'is {validation_split!r}; give only one of the two.'
    )
  parts = {}
  if test_split is None and 'test' in splits:
    parts['test'] = _whole(builder, 'test')
  elif test_split not in (None, NONE):
    parts['test'] = _named(builder, 'test_split', test_split)
  if validation_split not in (None, NONE):
    parts['validation'] = _named(builder, 'validation_split', validation_split)
  train = _rest(builder, parts.values())
  if validation_split is None:
    if validation_examples is None and 'validation' in splits:
      parts['validation'] = _whole(builder, 'validation')
    else:
      num = validation_examples
      if num is None:
        num = train.num_examples // _VALIDATION_DIVISOR
      if not 0 <= num < train.num_examples:
        raise errors.DataError(
            f'validation_examples: {num} is not in [0, {train.num_examples}), '
            f'the training examples of {builder.name}.'
        )
      if num:
        cut = train.start + num
        parts['validation'] = Part('train', train.start, cut)
        train = Part('train', cut, train.stop)
  parts['train'] = train
  return {name: parts[name] for name in ORDER if name in parts}


def _whole(builder: tfds.core.DatasetBuilder, split: str) -> Part:
  splits = builder.info.splits
  if split not in splits:
    raise errors.DataError(
        f'dataset: {builder.name} has no split {split!r}; it has '
        f'{", ".join(splits) or "none"}.'
    )
  lengths = splits[split].shard_lengths
  if min(lengths, default=0) < 0 or not sum(lengths):
    out = '' if split == 'train' else f', or leave it out: {split}_split=none'
    raise errors.DataError(
        f'dataset: {builder.name}, split {split}: its {len(lengths)} files '
        f'hold {sum(lengths)} examples according to dataset_info.json in '
        f'{builder.data_dir}; prepare the data set again{out}.'
    )
  return Part(split, 0, sum(lengths))


def _named(builder: tfds.core.DatasetBuilder, argument: str, name: str) -> Part:
  splits = builder.info.splits
  try:
    read = tfds.core.ReadInstruction.from_spec(name)
    found = read.to_absolute(splits)
  except (ValueError, KeyError, AssertionError, TypeError) as error:
    raise errors.DataError(
        f'{argument}: {name!r} is not a split of {builder.name} '
        f'({errors.one_line(error)}); choose from {", ".join(splits)}, or '
        f'{NONE!r} for none.'
    ) from None
  if len(found) > 1:
    raise errors.DataError(
        f'{argument}: {name!r} joins several splits; name only one, or a slice '
        'of one.'
    )
  whole = _whole(builder, found[0].splitname)
  start, stop = found[0].from_, found[0].to
  part = Part(
      whole.split,
      whole.start if start is None else start,
      whole.stop if stop is None else stop,
  )
  if part.num_examples < 1:
    raise errors.DataError(
        f'{argument}: {name!r} of {builder.name} holds no examples.'
    )
  return part


def _rest(builder: tfds.core.DatasetBuilder, others: Iterable[Part]) -> Part:
  """Returns the rest of the split 'train', which must be contiguous."""
  whole = _whole(builder, 'train')
  start, stop = whole.start, whole.stop
  taken = [part for part in others if part.split == 'train']
  for part in sorted(taken, key=lambda part: part.start):
    if part.start <= start:
      start = max(start, part.stop)
  for part in sorted(taken, key=lambda part: -part.stop):
    if part.stop >= stop:
      stop = min(stop, part.start)
  for part in taken:
    if part.start < stop and start < part.stop:
      raise errors.DataError(
          f'validation_split, test_split: train[{part.start}:{part.stop}] of '
          f'{builder.name} lies in the middle of the training examples; choose '
          'examples from the start or the end.'
      )
  if start >= stop:
    raise errors.DataError(
        'validation_split, test_split: no example of the split train of '
        f'{builder.name} is left to train on.'
    )
  return Part('train', start, stop)
