"""Files of arrays in a work directory: NumPy's .npz, numbers alone."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np

from . import whole_files


def write(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays as a whole.

  Args:
    path: The path of the file.
    arrays: The arrays by name.

  Raises:
    OSError: If it cannot be written; what was there before stays.
  """
  with whole_files.replacing(path) as temporary, temporary.open('wb') as file:
    np.savez(file, allow_pickle=False, **arrays)


def read(path: pathlib.Path) -> dict[str, np.ndarray] | None:
  """Reads arrays; whatever else a file holds, no code in it is run.

  Args:
    path: The path of the file.

  Returns:
    The arrays by name; None if the file is missing, or not one of arrays.
  """
  try:
    with np.load(path, allow_pickle=False) as kept:
      return dict(kept)
  except Exception:  # Damaged archives raise a dozen kinds of it.
    return None
