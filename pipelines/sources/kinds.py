"""What the values of an array mean, told by its name, type and shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .. import errors, options, spec, texts
from . import hashing

# A class needs weights, a name and a row of the confusion matrix.
MAX_CLASSES = 100_000
# Integers up to this need not all be used to be classes.
_FEW_CLASSES = 1_000
_MAX_IDS_PER_CLASS = 10
_TOKENS = 'tokens'

Splits = Mapping[str, np.ndarray]


class Values(NamedTuple):
  """A feature and its values.

  Attributes:
    feature: What they are.
    arrays: The values of each split, as batches have them.
    notes: Lines that a user should see.
  """

  feature: spec.Feature
  arrays: dict[str, np.ndarray]
  notes: list[str]


def infer(
    name: str,
    splits: Splits,
    class_names: Sequence[str] = (),
    chosen: options.Options | None = None,
    place: Callable[[str, int], str] | None = None,
) -> Values:
  """Tells what an array means.

  What is named `label`:

  - integers, booleans or strings ``[n]`` are a `class`; integers from 0 on are
    named '0', '1', ... unless names are given, strings are sorted;
  - 0 and 1, or booleans, ``[n, k]`` are `classes`;
  - integers or booleans ``[n, H, W]`` or ``[n, H, W, 1]`` are a `mask`;
  - floats ``[n]`` or ``[n, k]`` are `numbers`.

  What is not:

  - uint8 ``[n, H, W]`` or ``[n, H, W, C]`` is an `image`, with a channel;
  - floats ``[n]`` or ``[n, k]`` are `numbers`, NaN where one is missing, and
    of higher rank an `array`;
  - strings ``[n]`` are a `text`, and so are integers ``[n, length]`` that are
    named `tokens`, with 0 for padding;
  - other integers, booleans and strings ``[n]`` or ``[n, k]`` are `categories`;
    integers of higher rank are an `array`.

  Args:
    name: The array's name.
    splits: The array of each split, one of them 'train'.
    class_names: The names of the classes of a label.
    chosen: How texts are cut; None for the defaults.
    place: Says where the example of a split and an index in it lies.

  Returns:
    The feature and its values.

  Raises:
    DataError: If the values are none of these, or labels are missing; the first
      such example is named.
  """
  train = splits[hashing.TRAIN]
  for split, array in splits.items():
    if array.shape[1:] != train.shape[1:] or _sort(array) != _sort(train):
      raise errors.DataError(
          f'{_array(split, name)} is {_described(array)}, that of train '
          f'{_described(train)}; expected the same of every example.'
      )
  if _sort(train) not in _SORTS:
    raise errors.DataError(
        f'{_array("train", name)} is {_described(train)}; expected numbers, '
        'booleans or strings.'
    )
  try:
    if name == spec.LABEL:
      return _label(name, splits, tuple(class_names))
    return _input(name, splits, chosen or options.Options())
  except _WrongError as wrong:
    if place is None:
      raise
    where = f'array {name!r}, {place(wrong.split, wrong.index)}'
    raise errors.DataError(f'{where}: {wrong.what}') from None


class _WrongError(errors.DataError):
  """An example with a value that cannot be."""

  def __init__(self, name: str, split: str, index: int, what: str):
    super().__init__(f'{_array(split, name)}, example {index}: {what}')
    self.split, self.index, self.what = split, index, what


# The kinds of NumPy's types: all integers are one sort, and all strings.
_SORTS = ('b', 'i', 'f', 'U')


def _sort(array: np.ndarray) -> str:
  return {'u': 'i'}.get(array.dtype.kind, array.dtype.kind)


def _array(split: str, name: str) -> str:
  return f'array {name!r} of {split}'


def _described(array: np.ndarray) -> str:
  kind = 'strings' if array.dtype.kind == 'U' else str(array.dtype)
  return f'{kind} {list(array.shape)}'


def _label(name: str, splits: Splits, class_names: tuple[str, ...]) -> Values:
  train = splits[hashing.TRAIN]
  sort, rank = _sort(train), train.ndim
  if sort == 'f' and rank in (1, 2):
    return _numbers(name, splits, may_lack=False)
  if sort == 'U' and rank == 1:
    return named_classes(name, splits, class_names)
  if sort in 'bi':
    whole = {split: _integers(array) for split, array in splits.items()}
    if rank == 1:
      return _class(name, whole, class_names)
    if rank == 2 and all(np.isin(a, (0, 1)).all() for a in whole.values()):
      return _classes(name, whole, class_names)
    if rank == 3 or (rank == 4 and train.shape[-1] == 1):
      return _mask(name, whole, class_names)
  raise errors.DataError(
      f'{_array("train", name)} is {_described(train)}; expected integers or '
      'strings [n] (a class), 0 and 1 [n, k] (several classes), integers '
      '[n, H, W] (the class of each pixel), or floats [n] or [n, k] (numbers).'
  )


def _input(name: str, splits: Splits, chosen: options.Options) -> Values:
  train = splits[hashing.TRAIN]
  sort, rank = _sort(train), train.ndim
  if train.dtype == np.uint8 and rank in (3, 4):
    images = {s: a[..., None] if rank == 3 else a for s, a in splits.items()}
    shape = images[hashing.TRAIN].shape[1:]
    return Values(spec.Feature(spec.IMAGE, shape, 'uint8'), images, [])
  if sort == 'f':
    if rank <= 2:
      columns = {s: a.reshape(len(a), -1) for s, a in splits.items()}
      return _numbers(name, columns, may_lack=True)
    arrays = {s: _finite(name, s, a) for s, a in splits.items()}
    return Values(spec.Feature(spec.ARRAY, train.shape[1:], 'float32'),
                  arrays, [])
  if sort == 'U' and rank == 1:
    lists = {split: array.tolist() for split, array in splits.items()}
    return Values(
        *texts.feature(lists, chosen.tokenizer, chosen.max_tokens, (name,))
    )
  if sort == 'i' and rank == 2 and name == _TOKENS:
    return _tokens(name, splits)
  if rank <= 2:
    columns = {s: a.reshape(len(a), -1) for s, a in splits.items()}
    return categories(name, columns, ())
  if sort == 'U':
    raise errors.DataError(
        f'{_array("train", name)} is {_described(train)}; expected strings [n] '
        '(texts) or [n, k] (categories).'
    )
  whole = {split: _integers(array) for split, array in splits.items()}
  return Values(
      spec.Feature(spec.ARRAY, train.shape[1:], 'int64'), whole,
      [f'{name}: integers as they are; uint8 would be images.'],
  )


def _integers(array: np.ndarray) -> np.ndarray:
  return array.astype(np.int64, copy=False)


def _finite(name: str, split: str, array: np.ndarray) -> np.ndarray:
  """Returns float32, refusing what is no number."""
  with np.errstate(over='ignore'):  # It is then infinite, and named.
    cast = array.astype(np.float32, copy=False)
  _refuse(name, split, array, ~np.isfinite(cast), 'expected a finite number')
  return cast


def _refuse(
    name: str, split: str, array: np.ndarray, wrong: np.ndarray, expected: str
) -> None:
  """Names the first example of which a value is wrong, if there is one."""
  if wrong.any():
    place = np.unravel_index(np.argmax(wrong), wrong.shape)
    raise _WrongError(
        name, split, int(place[0]),
        f'{array[place]}; {expected}. So it is with {_count(wrong):,} of '
        f'{len(wrong):,} examples of {split}.',
    )


def _count(wrong: np.ndarray) -> int:
  return int(wrong.reshape(len(wrong), -1).any(axis=1).sum())


def _numbers(name: str, splits: Splits, *, may_lack: bool) -> Values:
  """Numbers as float32; those that are lacking stay NaN where they may."""
  arrays, notes = {}, []
  for split, array in splits.items():
    lacking = np.isnan(array) if may_lack else np.zeros(array.shape, bool)
    filled = np.where(lacking, 0, array) if lacking.any() else array
    arrays[split] = _finite(name, split, filled)
    if lacking.any():
      arrays[split] = np.where(lacking, np.float32('nan'), arrays[split])
      notes.append(
          f'{name}: {_count(lacking):,} of {len(array):,} examples of {split} '
          'lack a number (NaN).'
      )
  shape = arrays[hashing.TRAIN].shape[1:]
  return Values(spec.Feature(spec.NUMBERS, shape, 'float32'), arrays, notes)


def named_classes(
    name: str, splits: Splits, class_names: Sequence[str] = ()
) -> Values:
  """Makes classes of strings.

  Args:
    name: The array's name.
    splits: Strings ``[num_examples]`` of each split.
    class_names: The names in order; sorted ones by default.

  Returns:
    A feature of kind `class` and int64 ``[num_examples]``.

  Raises:
    DataError: If a value is not among the names.
  """
  names = tuple(class_names) or tuple(
      np.unique(np.concatenate([np.unique(a) for a in splits.values()]))
      .tolist()
  )
  index = {value: position for position, value in enumerate(names)}
  arrays = {}
  for split, array in splits.items():
    known = np.array([index.get(v, -1) for v in array.tolist()], np.int64)
    _refuse(name, split, array, known < 0, 'expected one of class_names')
    arrays[split] = known
  return _class(name, arrays, names)


def _class(name: str, splits: Splits, class_names: tuple[str, ...]) -> Values:
  names = _names(name, splits, class_names)
  feature = spec.Feature(spec.CLASS, (), 'int64', names)
  return Values(feature, dict(splits), unseen(feature, splits))


def unseen(feature: spec.Feature, splits: Splits) -> list[str]:
  """Says which classes are scored but not trained.

  Args:
    feature: The classes.
    splits: The class of each example of each split.

  Returns:
    A line for each split that has such.
  """
  trained = np.unique(splits[hashing.TRAIN])
  notes = []
  for split, array in splits.items():
    missing = np.setdiff1d(array, trained)
    if missing.size:
      names = [feature.class_names[index] for index in missing[:5]]
      more = f' and {missing.size - 5} more' if missing.size > 5 else ''
      notes.append(
          f'classes of {split} that no training example has: '
          f'{", ".join(names)}{more}.'
      )
  return notes


def _names(
    name: str, splits: Splits, class_names: tuple[str, ...]
) -> tuple[str, ...]:
  """Checks that integers are classes, and returns the classes' names."""
  for split, array in splits.items():
    _refuse(name, split, array, array < 0, 'expected a class, 0 or more')
    if class_names:
      _refuse(
          name, split, array, array >= len(class_names),
          f'expected less than {len(class_names)}, the number of class_names',
      )
  if class_names:
    if len(set(class_names)) != len(class_names):
      raise errors.DataError('class_names: a name is there twice.')
    return class_names
  ids = np.unique(np.concatenate([np.unique(a) for a in splits.values()]))
  bound = max(_FEW_CLASSES, _MAX_IDS_PER_CLASS * ids.size)
  if ids[-1] >= min(bound, MAX_CLASSES):
    raise errors.DataError(
        f'array {name!r}: {ids.size:,} different integers up to {ids[-1]:,} '
        'would be as many classes and one more; number the classes from 0 '
        f'without gaps, {MAX_CLASSES:,} at most, or give floats for numbers.'
    )
  return tuple(str(index) for index in range(int(ids[-1]) + 1))


def _classes(name: str, splits: Splits, class_names: tuple[str, ...]) -> Values:
  width = splits[hashing.TRAIN].shape[1]
  names = class_names or tuple(str(index) for index in range(width))
  if len(names) != width:
    raise errors.DataError(
        f'class_names: {len(names)} names for the {width} classes of array '
        f'{name!r}; give one for each.'
    )
  arrays = {s: array.astype(np.uint8) for s, array in splits.items()}
  notes = []
  if width > 1 and all((a.sum(axis=1) == 1).all() for a in arrays.values()):
    notes.append(
        f'{name}: each example has one class, yet several are allowed; '
        'integers [n] would be one class each.'
    )
  return Values(
      spec.Feature(spec.CLASSES, (width,), 'uint8', names), arrays, notes
  )


def _mask(name: str, splits: Splits, class_names: tuple[str, ...]) -> Values:
  masks = {s: a[..., 0] if a.ndim == 4 else a for s, a in splits.items()}
  names = _names(name, masks, class_names)
  dtype = 'uint8' if len(names) <= 256 else 'int32'
  arrays = {split: mask.astype(dtype) for split, mask in masks.items()}
  shape = arrays[hashing.TRAIN].shape[1:]
  feature = spec.Feature(spec.MASK, shape, dtype, names)
  return Values(feature, arrays, unseen(feature, arrays))


def _tokens(name: str, splits: Splits) -> Values:
  for split, array in splits.items():
    _refuse(name, split, array, array < 0, 'expected a token, 0 or more')
  size = max(int(array.max(initial=1)) for array in splits.values()) + 1
  words = (texts.PADDING, texts.UNKNOWN, *map(str, range(2, size)))
  arrays = {split: array.astype(np.int32) for split, array in splits.items()}
  length = splits[hashing.TRAIN].shape[1:]
  feature = spec.Feature(spec.TEXT, length, 'int32', vocabularies=(words,))
  return Values(feature, arrays, [])


def categories(
    name: str, splits: Splits, columns: tuple[str, ...]
) -> Values:
  """Makes categories of columns; their values are those of training.

  Args:
    name: The array's name.
    splits: Integers, booleans or strings ``[num_examples, num_categories]``
      of each split.
    columns: The name of each column; by default its number.

  Returns:
    A feature of kind `categories` and int32 arrays: positions in the sorted
    values of the training split from 1 on, 0 for a value that it has not.

  Raises:
    DataError: If a column has more than 100,000 values.
  """
  width = splits[hashing.TRAIN].shape[1]
  arrays = {s: np.zeros(a.shape, np.int32) for s, a in splits.items()}
  vocabularies, notes = [], []
  for column in range(width):
    called = columns[column] if columns else f'{name}, column {column}'
    values = np.unique(splits[hashing.TRAIN][:, column])
    if values.size > MAX_CLASSES:
      raise errors.DataError(
          f'{called}: {values.size:,} different values; expected at most '
          f'{MAX_CLASSES:,} of categories. Give numbers as floats.'
      )
    vocabularies.append(('', *map(str, values.tolist())))
    for split, array in splits.items():
      found = array[:, column]
      places = np.minimum(np.searchsorted(values, found), values.size - 1)
      known = values[places] == found
      arrays[split][:, column] = np.where(known, places + 1, 0)
      if not known.all():
        notes.append(
            f'{called}: {(~known).sum():,} of {len(found):,} values of {split} '
            'are not in the training split, and count as unknown.'
        )
  if not columns:
    notes.insert(0, f'{name}: categories; floats would be numbers.')
  feature = spec.Feature(
      spec.CATEGORIES, (width,), 'int32',
      columns=columns or tuple(map(str, range(width))),
      vocabularies=tuple(vocabularies),
  )
  return Values(feature, arrays, notes)
