"""Values of a feature, and the errors that name examples with wrong values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .. import errors, spec

Splits = Mapping[str, np.ndarray]


class Values(NamedTuple):
  """A feature and its values.

  Attributes:
    feature: The feature.
    arrays: The values of each split.
    notes: Messages for the user.
  """

  feature: spec.Feature
  arrays: dict[str, np.ndarray]
  notes: list[str]


def stripped(array: np.ndarray) -> np.ndarray:
  """Strips spaces around strings, as in cells of tables; keeps other values.

  Args:
    array: Values of any dtype.
  """
  return np.char.strip(array) if array.dtype.kind == 'U' else array


def array_of(split: str, name: str) -> str:
  """Describes the array of a split.

  Args:
    split: The split.
    name: The name of the array.

  Returns:
    A text such as "array 'image' of train".
  """
  return f'array {name!r} of {split}'


class WrongError(errors.DataError):
  """An example has an invalid value."""

  def __init__(self, name: str, split: str, index: int, what: str):
    """Creates the error for an example.

    Args:
      name: The name of the array.
      split: The split.
      index: The index of the example in the split.
      what: What is wrong, and what to do.
    """
    super().__init__(f'{array_of(split, name)}, example {index}: {what}')
    self.split, self.index, self.what = split, index, what


def refuse(
    name: str, split: str, array: np.ndarray, wrong: np.ndarray, expected: str
) -> None:
  """Raises an error that names the first example with a wrong value, if any.

  Args:
    name: The name of the array.
    split: The split.
    array: The values.
    wrong: Which of them are wrong, in the same shape.
    expected: What to do, as part of a sentence.

  Raises:
    WrongError: If any value is wrong.
  """
  if wrong.any():
    place = np.unravel_index(np.argmax(wrong), wrong.shape)
    raise WrongError(
        name,
        split,
        int(place[0]),
        f'{array[place]}; {expected}. This concerns {count(wrong):,} of '
        f'{len(wrong):,} examples of {split}.',
    )


def count(wrong: np.ndarray) -> int:
  """Counts the examples with wrong values.

  Args:
    wrong: Booleans ``[num_examples, ...]``.

  Returns:
    The number.
  """
  return int(wrong.reshape(len(wrong), -1).any(axis=1).sum())


def told_apart(what: str, numbers: np.ndarray) -> None:
  """Raises if float32 rounds numbers by too much to distinguish them.

  Args:
    what: A description of the numbers, for the message.
    numbers: Numbers ``[num_examples, ...]`` of any dtype; NaN is missing.

  Raises:
    DataError: If float32 changes a number by more than a hundredth of its
      column's standard deviation.

  Example:
    >>> import numpy as np
    >>> from pipelines.sources import checks
    >>> checks.told_apart('x', np.array([1.0, 2.0]))
  """
  if np.can_cast(numbers.dtype, np.float32):
    return
  columns = numbers.reshape([len(numbers), -1]).astype(np.float64)
  moved = np.abs(columns - columns.astype(np.float32))
  known = np.isfinite(moved)
  for column, error, is_known in zip(columns.T, moved.T, known.T, strict=True):
    if not is_known.any():
      continue
    std = float(column[is_known].std())
    if std > 0 and error[is_known].max() > std / 100:
      raise errors.DataError(
          f'{what}: numbers around {column[is_known].mean():.3g} that differ '
          f'by {std:.3g} are rounded by up to {error[is_known].max():.3g} in '
          'float32; subtract a common offset.'
      )
