"""Values of a feature, and the error that names an example with a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .. import errors, spec

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


def stripped(array: np.ndarray) -> np.ndarray:
  """Returns strings without spaces around them, other values as they are.

  Cells of tables are read without them, and a value is the same whatever form
  it comes in.

  Args:
    array: Values of any type.
  """
  return np.char.strip(array) if array.dtype.kind == 'U' else array


def array_of(split: str, name: str) -> str:
  """Returns the words for the array of a split.

  Args:
    split: The split.
    name: The array's name.

  Returns:
    Such as "array 'image' of train".
  """
  return f'array {name!r} of {split}'


class WrongError(errors.DataError):
  """An example with a value that cannot be."""

  def __init__(self, name: str, split: str, index: int, what: str):
    """Names the example.

    Args:
      name: The array's name.
      split: Its split.
      index: The example's place in the split.
      what: What is wrong, and what to do.
    """
    super().__init__(f'{array_of(split, name)}, example {index}: {what}')
    self.split, self.index, self.what = split, index, what


def refuse(
    name: str, split: str, array: np.ndarray, wrong: np.ndarray, expected: str
) -> None:
  """Names the first example of which a value is wrong, if there is one.

  Args:
    name: The array's name.
    split: Its split.
    array: The values.
    wrong: Which of them are wrong, of the same shape.
    expected: What to do, as the end of a sentence.

  Raises:
    WrongError: If any is.
  """
  if wrong.any():
    place = np.unravel_index(np.argmax(wrong), wrong.shape)
    raise WrongError(
        name, split, int(place[0]),
        f'{array[place]}; {expected}. So it is with {count(wrong):,} of '
        f'{len(wrong):,} examples of {split}.',
    )


def count(wrong: np.ndarray) -> int:
  """Counts the examples of which a value is wrong.

  Args:
    wrong: Booleans ``[num_examples, ...]``.

  Returns:
    The number.
  """
  return int(wrong.reshape(len(wrong), -1).any(axis=1).sum())


def told_apart(what: str, numbers: np.ndarray) -> None:
  """Refuses numbers that float32 rounds by more than they differ.

  Args:
    what: What the numbers are, for the message.
    numbers: Numbers ``[num_examples, ...]`` in whatever type; NaN is missing.

  Raises:
    DataError: If float32 moves one of a column by more than a hundredth of the
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
          'float32; subtract what they have in common.'
      )
