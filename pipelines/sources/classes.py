"""Labels that are classes: one, several, or one of each pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import errors, labels, spec
from . import checks, hashing


def of_names(
    name: str, splits: checks.Splits, class_names: Sequence[str] = ()
) -> checks.Values:
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
    checks.refuse(name, split, array, known < 0, 'expected one of class_names')
    arrays[split] = known
  return of_integers(name, arrays, names)


def of_integers(
    name: str, splits: checks.Splits, class_names: tuple[str, ...] = ()
) -> checks.Values:
  """Makes classes of integers.

  Args:
    name: The array's name.
    splits: Integers ``[num_examples]`` of each split.
    class_names: The names; the numbers themselves by default.

  Returns:
    A feature of kind `class` and int64 ``[num_examples]``.

  Raises:
    DataError: If a value is negative, or not below the number of names.
  """
  names = _names(name, splits, class_names)
  feature = spec.Feature(spec.CLASS, (), 'int64', names)
  arrays = {s: a.astype(np.int64, copy=False) for s, a in splits.items()}
  return checks.Values(feature, arrays, untrained(feature, arrays))


def untrained(feature: spec.Feature, splits: checks.Splits) -> list[str]:
  """Notes the classes that no training example has.

  Args:
    feature: The classes.
    splits: The class of each example, or pixel, of each split.

  Returns:
    A line for each split that has such; one if numbers have gaps between them.
  """
  trained = np.unique(splits[hashing.TRAIN])
  num_classes = len(feature.class_names)
  is_numbered = feature.class_names == tuple(map(str, range(num_classes)))
  notes = []
  if is_numbered and 2 * trained.size < num_classes:
    notes.append(
        f'of {num_classes} classes only {trained.size} occur in training, such '
        f'as {feature.class_names[trained[-1]]}; labels from 0 on without gaps '
        'make no more classes than there are.'
    )
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
    name: str, splits: checks.Splits, class_names: tuple[str, ...]
) -> tuple[str, ...]:
  """Checks that integers are classes, and returns the classes' names."""
  for split, array in splits.items():
    checks.refuse(name, split, array, array < 0, 'expected a class, 0 or more')
    if class_names:
      checks.refuse(
          name, split, array, array >= len(class_names),
          f'expected less than {len(class_names)}, the number of class_names',
      )
  if class_names:
    if len(set(class_names)) != len(class_names):
      raise errors.DataError('class_names: a name is there twice.')
    return class_names
  return tuple(
      labels.numbered_classes(
          f'array {name!r}', splits.values(), 'or give floats for numbers'
      )
  )


def of_flags(
    name: str, splits: checks.Splits, class_names: tuple[str, ...] = ()
) -> checks.Values:
  """Makes several classes of flags.

  Args:
    name: The array's name.
    splits: 0 or 1, ``[num_examples, num_classes]``, of each split.
    class_names: The names; the numbers of columns by default.

  Returns:
    A feature of kind `classes` and uint8 of the same shapes.

  Raises:
    DataError: If there is not one name for each column.
  """
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
  return checks.Values(
      spec.Feature(spec.CLASSES, (width,), 'uint8', names), arrays, notes
  )


def of_pixels(
    name: str, splits: checks.Splits, class_names: tuple[str, ...] = ()
) -> checks.Values:
  """Makes a mask of the class of each pixel.

  Args:
    name: The array's name.
    splits: Integers ``[num_examples, H, W]`` or ``[num_examples, H, W, 1]`` of
      each split.
    class_names: The names; the numbers themselves by default.

  Returns:
    A feature of kind `mask` and uint8 ``[num_examples, H, W]``; int32 of more
    than 256 classes.

  Raises:
    DataError: If a value is negative, or not below the number of names.
  """
  masks = {s: a[..., 0] if a.ndim == 4 else a for s, a in splits.items()}
  names = _names(name, masks, class_names)
  dtype = 'uint8' if len(names) <= 256 else 'int32'
  arrays = {split: mask.astype(dtype) for split, mask in masks.items()}
  shape = arrays[hashing.TRAIN].shape[1:]
  feature = spec.Feature(spec.MASK, shape, dtype, names)
  return checks.Values(feature, arrays, untrained(feature, arrays))
