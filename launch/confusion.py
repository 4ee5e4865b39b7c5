"""Confusion matrices as files have them, and as plots show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# With more classes nearly all cells are 0: of 10,000 there would be 10^8. Nor
# has a plot pixels for more.
_MAX_DENSE_CLASSES = 1_000


def to_json(counts: Any) -> list[list[int]]:
  """Returns a matrix as JSON has it.

  Args:
    counts: Integers, ``[num_classes, num_classes]``, a row per true class.

  Returns:
    The rows; with more than 1,000 classes ``[true, predicted, count]`` of each
    cell that is not 0.
  """
  matrix = np.asarray(counts)
  if len(matrix) <= _MAX_DENSE_CLASSES:
    return matrix.astype(np.int64).tolist()
  cells = np.argwhere(matrix)
  values = matrix[tuple(cells.T)].astype(np.int64)
  return np.column_stack([cells, values]).tolist()


def from_json(rows: Sequence[Sequence[int]], num_classes: int) -> np.ndarray:
  """Undoes `to_json`, with at most 1,000 rows and columns.

  Args:
    rows: What it returned.
    num_classes: The number of classes.

  Returns:
    The counts, float64. With more than 1,000 classes each row and column is the
    sum of as many neighbours as it takes, the last of fewer.
  """
  if num_classes <= _MAX_DENSE_CLASSES:
    return np.asarray(rows, np.float64)
  width = -(-num_classes // _MAX_DENSE_CLASSES)
  size = -(-num_classes // width)
  matrix = np.zeros([size, size])
  true, predicted, counts = np.reshape(np.asarray(rows), [-1, 3]).T
  np.add.at(matrix, (true // width, predicted // width), counts)
  return matrix
