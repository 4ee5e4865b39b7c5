"""Infers the meaning of an array from its name, dtype and shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import errors, labels, options, spec, texts
from . import checks, classes, hashing

_TOKENS = 'tokens'


def infer(
    name: str,
    splits: checks.Splits,
    class_names: Sequence[str] = (),
    chosen: options.Options | None = None,
    place: Callable[[str, int], str] | None = None,
) -> checks.Values:
  """Infers the meaning of an array.

  An array named `label`:

  - integers, booleans or strings ``[n]`` are a `class`; integers from 0 on are
    named '0', '1', ... unless names are given, strings are sorted;
  - 0 and 1, or booleans, ``[n, k]`` are `classes`;
  - integers or booleans ``[n, H, W]`` or ``[n, H, W, 1]`` are a `mask`;
  - floats ``[n]`` or ``[n, k]`` are `numbers`.

  Other arrays:

  - uint8 ``[n, H, W]`` or ``[n, H, W, C]`` is an `image`, with channels;
  - floats ``[n]`` or ``[n, k]`` are `numbers`, NaN if missing, and of higher
    rank an `array`;
  - strings ``[n]`` are a `text`, and so are integers ``[n, length]`` named
    `tokens`, with 0 for padding;
  - other integers, booleans and strings ``[n]`` or ``[n, k]`` are `categories`;
    integers of higher rank are an `array`.

  Spaces around strings are ignored. Otherwise strings are not interpreted, not
  even words such as NA.

  Args:
    name: The name of the array.
    splits: The array of each split, one of them 'train'.
    class_names: The class names of a label.
    chosen: How texts are tokenized. Default: the default options.
    place: A function that describes an example by its split and index.

  Returns:
    The feature and its values.

  Raises:
    DataError: If the values are none of these, or labels are missing, with the
      first such example.
  """
  splits = {split: checks.stripped(array) for split, array in splits.items()}
  train = splits[hashing.TRAIN]
  for split, array in splits.items():
    if array.shape[1:] != train.shape[1:] or _sort(array) != _sort(train):
      raise errors.DataError(
          f'{checks.array_of(split, name)} is {_described(array)}, that of '
          f'train {_described(train)}; expected the same in all splits.'
      )
  if _sort(train) not in _SORTS:
    raise errors.DataError(
        f'array {name!r} is {_described(train)}; expected numbers, booleans or '
        'strings.'
    )
  try:
    if name == spec.LABEL:
      return _label(name, splits, tuple(class_names))
    return _input(name, splits, chosen or options.Options())
  except checks.WrongError as wrong:
    if place is None:
      raise
    where = f'array {name!r}, {place(wrong.split, wrong.index)}'
    raise errors.DataError(f'{where}: {wrong.what}') from None


# The kinds of NumPy dtypes, with all integers as one.
_SORTS = ('b', 'i', 'f', 'U')


def _sort(array: np.ndarray) -> str:
  return {'u': 'i'}.get(array.dtype.kind, array.dtype.kind)


def _described(array: np.ndarray) -> str:
  kind = 'strings' if array.dtype.kind == 'U' else str(array.dtype)
  return f'{kind} {list(array.shape)}'


def _label(
    name: str, splits: checks.Splits, class_names: tuple[str, ...]
) -> checks.Values:
  train = splits[hashing.TRAIN]
  sort, rank = _sort(train), train.ndim
  if sort == 'f' and rank in (1, 2):
    return _numbers(name, splits, may_lack=False)
  if sort == 'U' and rank == 1:
    return classes.of_names(name, splits, class_names)
  if sort in 'bi':
    whole = {s: a + 0 if sort == 'b' else a for s, a in splits.items()}
    if rank == 1:
      return classes.of_integers(name, whole, class_names)
    if rank == 2 and all(np.isin(a, (0, 1)).all() for a in whole.values()):
      return classes.of_flags(name, whole, class_names)
    if rank == 3 or (rank == 4 and train.shape[-1] == 1):
      return classes.of_pixels(name, whole, class_names)
  raise errors.DataError(
      f'array {name!r} is {_described(train)}; expected integers or strings '
      '[n] (a class), 0 and 1 [n, k] (several classes), integers [n, H, W] '
      '(the class of each pixel), or floats [n] or [n, k] (numbers).'
  )


def _input(
    name: str, splits: checks.Splits, chosen: options.Options
) -> checks.Values:
  train = splits[hashing.TRAIN]
  sort, rank = _sort(train), train.ndim
  if train.dtype == np.uint8 and rank in (3, 4):
    images = {s: a[..., None] if rank == 3 else a for s, a in splits.items()}
    shape = images[hashing.TRAIN].shape[1:]
    return checks.Values(spec.Feature(spec.IMAGE, shape, 'uint8'), images, [])
  if sort == 'f':
    if rank <= 2:
      columns = {s: a.reshape(len(a), -1) for s, a in splits.items()}
      return _numbers(name, columns, may_lack=True)
    arrays = {s: _finite(name, s, a) for s, a in splits.items()}
    feature = spec.Feature(spec.ARRAY, train.shape[1:], 'float32')
    return checks.Values(feature, arrays, [])
  if sort == 'U' and rank == 1:
    lists = {split: array.tolist() for split, array in splits.items()}
    found = texts.feature(
        lists,
        chosen.tokenizer,
        chosen.max_tokens,
        columns=(name,),
        like=chosen.like.get(name) if chosen.like else None,
    )
    return checks.Values(*found)
  if sort == 'i' and rank == 2 and name == _TOKENS:
    return _tokens(name, splits)
  if rank <= 2:
    columns = {s: a.reshape(len(a), -1) for s, a in splits.items()}
    return categories(name, columns, ())
  if sort == 'U':
    raise errors.DataError(
        f'array {name!r} is {_described(train)}; expected strings [n] (texts) '
        'or [n, k] (categories).'
    )
  whole = {split: _integers(array) for split, array in splits.items()}
  return checks.Values(
      spec.Feature(spec.ARRAY, train.shape[1:], 'int64'),
      whole,
      [f'{name}: integers, not interpreted; use uint8 for images.'],
  )


def _integers(array: np.ndarray) -> np.ndarray:
  return array.astype(np.int64, copy=False)


def _finite(name: str, split: str, array: np.ndarray) -> np.ndarray:
  """Converts to float32; raises if a value is not finite."""
  with np.errstate(over='ignore'):  # Infinities are reported below.
    cast = array.astype(np.float32, copy=False)
  wrong = ~np.isfinite(cast)
  checks.refuse(name, split, array, wrong, 'expected a finite number')
  return cast


def _numbers(
    name: str, splits: checks.Splits, *, may_lack: bool
) -> checks.Values:
  """Makes numbers as float32; missing ones are NaN if allowed."""
  arrays, notes = {}, []
  for split, array in splits.items():
    lacking = np.isnan(array) if may_lack else np.zeros(array.shape, bool)
    filled = np.where(lacking, 0, array) if lacking.any() else array
    arrays[split] = _finite(name, split, filled)
    checks.told_apart(f'array {name!r}', array)
    if lacking.any():
      arrays[split] = np.where(lacking, np.float32('nan'), arrays[split])
      notes.append(
          f'{name}: {checks.count(lacking):,} of {len(array):,} examples of '
          f'{split} have a missing number (NaN).'
      )
  shape = arrays[hashing.TRAIN].shape[1:]
  feature = spec.Feature(spec.NUMBERS, shape, 'float32')
  return checks.Values(feature, arrays, notes)


def _tokens(name: str, splits: checks.Splits) -> checks.Values:
  for split, array in splits.items():
    checks.refuse(name, split, array, array < 0, 'expected a token, at least 0')
  size = max(int(array.max(initial=1)) for array in splits.values()) + 1
  words = (texts.PADDING, texts.UNKNOWN, *map(str, range(2, size)))
  arrays = {split: array.astype(np.int32) for split, array in splits.items()}
  length = splits[hashing.TRAIN].shape[1:]
  feature = spec.Feature(spec.TEXT, length, 'int32', vocabularies=(words,))
  return checks.Values(feature, arrays, [])


def categories(
    name: str, splits: checks.Splits, columns: tuple[str, ...]
) -> checks.Values:
  """Makes categories of columns; their values are those of training.

  Args:
    name: The name of the array.
    splits: Integers, booleans or strings ``[num_examples, num_categories]``.
    columns: The names of the columns. Default: their numbers.

  Returns:
    A feature of kind `categories` and int32 arrays: positions from 1 on in the
    sorted values of the training split, 0 for other values.

  Raises:
    DataError: If a column has more than 100,000 values.
  """
  width = splits[hashing.TRAIN].shape[1]
  arrays = {s: np.zeros(a.shape, np.int32) for s, a in splits.items()}
  vocabularies, notes = [], []
  for column in range(width):
    called = columns[column] if columns else f'{name}, column {column}'
    values = np.unique(splits[hashing.TRAIN][:, column])
    if values.size > labels.MAX_CLASSES:
      raise errors.DataError(
          f'{called}: {values.size:,} different values; expected at most '
          f'{labels.MAX_CLASSES:,} categories. Give numbers as floats.'
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
    notes.insert(0, f'{name}: categories; use floats for numbers.')
  feature = spec.Feature(
      spec.CATEGORIES,
      (width,),
      'int32',
      columns=columns or tuple(map(str, range(width))),
      vocabularies=tuple(vocabularies),
  )
  return checks.Values(feature, arrays, notes)
