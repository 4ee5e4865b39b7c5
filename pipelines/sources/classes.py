"""Labels that are classes: one, several, or one per pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import errors, labels, spec
from . import checks, hashing


def of_names(
    name: str, splits: checks.Splits, class_names: Sequence[str] = ()
) -> checks.Values:
  """Makes classes from strings.

  Args:
    name: The name of the array.
    splits: Strings ``[num_examples]`` per split.
    class_names: The names in order. Default: sorted.

  Returns:
    A feature of kind `class` and int64 ``[num_examples]``.

  Raises:
    DataError: If a value is not among the names.
  """
  names = tuple(class_names) or tuple(
      np.unique(
          np.concatenate([np.unique(a) for a in splits.values()])
      ).tolist()
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
  """Makes classes from integers.

  Args:
    name: The name of the array.
    splits: Integers ``[num_examples]`` per split.
    class_names: The names. Default: the numbers.

  Returns:
    A feature of kind `class` and int64 ``[num_examples]``.

  Raises:
    DataError: If a value is negative, or not less than the number of names.
  """
  names = _names(name, splits, class_names)
  feature = spec.Feature(spec.CLASS, (), 'int64', names)
  arrays = {s: a.astype(np.int64, copy=False) for s, a in splits.items()}
  return checks.Values(feature, arrays, untrained(feature, arrays))


def untrained(feature: spec.Feature, splits: checks.Splits) -> list[str]:
  """Reports the classes that no training example has.

  Args:
    feature: The classes.
    splits: The class of each example, or pixel, per split.

  Returns:
    One message per split with such classes, and one if numbers have gaps.
  """
  trained = np.unique(splits[hashing.TRAIN])
  num_classes = len(feature.class_names)
  is_numbered = feature.class_names == tuple(map(str, range(num_classes)))
  notes = []
  if is_numbered and 2 * trained.size < num_classes:
    notes.append(
        f'of {num_classes} classes only {trained.size} occur in training, such '
        f'as {feature.class_names[trained[-1]]}; number labels from 0 on '
        'without gaps to avoid unused classes.'
    )
  for split, array in splits.items():
    missing = np.setdiff1d(array, trained)
    if missing.size:
      names = [feature.class_names[index] for index in missing[:5]]
      more = f' and {missing.size - 5} more' if missing.size > 5 else ''
      notes.append(
          f'classes of {split} without training examples: '
          f'{", ".join(names)}{more}.'
      )
  return notes


def _names(
    name: str, splits: checks.Splits, class_names: tuple[str, ...]
) -> tuple[str, ...]:
  """Checks that integers are classes, and returns the classes' names."""
  for split, array in splits.items():
    checks.refuse(name, split, array, array < 0, 'expected a class, at least 0')
    if class_names:
      checks.refuse(
          name,
          split,
          array,
          array >= len(class_names),
          f'expected less than {len(class_names)}, the number of class_names',
      )
  if class_names:
    if len(set(class_names)) != len(class_names):
      raise errors.DataError('class_names: two names are equal.')
    return class_names
  return tuple(
      labels.numbered_classes(
          f'array {name!r}', splits.values(), 'or give floats for numbers'
      )
  )


def of_flags(
    name: str, splits: checks.Splits, class_names: tuple[str, ...] = ()
) -> checks.Values:
  """Makes several classes from flags.

  Args:
    name: The name of the array.
    splits: 0 or 1, ``[num_examples, num_classes]``, per split.
    class_names: The names. Default: the numbers of the columns.

  Returns:
    A feature of kind `classes` and uint8 of the same shapes.

  Raises:
    DataError: If there is not one name per column.
  """
  width = splits[hashing.TRAIN].shape[1]
  names = class_names or tuple(str(index) for index in range(width))
  if len(names) != width:
    raise errors.DataError(
        f'class_names: {len(names)} names for the {width} classes of array '
        f'{name!r}; give one per class.'
    )
  arrays = {s: array.astype(np.uint8) for s, array in splits.items()}
  notes = []
  if width > 1 and all((a.sum(axis=1) == 1).all() for a in arrays.values()):
    notes.append(
        f'{name}: each example has one class, although several are allowed; '
        'use integers [n] for one class per example.'
    )
  return checks.Values(
      spec.Feature(spec.CLASSES, (width,), 'uint8', names), arrays, notes
  )


def of_pixels(
    name: str, splits: checks.Splits, class_names: tuple[str, ...] = ()
) -> checks.Values:
  """Makes a mask from the class of each pixel.

  Args:
    name: The name of the array.
    splits: Integers ``[num_examples, H, W]``, with or without a last axis of 1.
    class_names: The names. Default: the numbers.

  Returns:
    A feature of kind `mask` and uint8 ``[num_examples, H, W]``, or int32 for
    more than 256 classes.

  Raises:
    DataError: If a value is negative, or not less than the number of names.
  """
  masks = {s: a[..., 0] if a.ndim == 4 else a for s, a in splits.items()}
  names = _names(name, masks, class_names)
  dtype = 'uint8' if len(names) <= 256 else 'int32'
  arrays = {split: mask.astype(dtype) for split, mask in masks.items()}
  shape = arrays[hashing.TRAIN].shape[1:]
  feature = spec.Feature(spec.MASK, shape, dtype, names)
  return checks.Values(feature, arrays, untrained(feature, arrays))
