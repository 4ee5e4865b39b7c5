"""Files of arrays in a work directory: NumPy's .npz, numbers alone."""

from __future__ import annotations

import os
import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np


def write(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays as a whole.

  Args:
    path: The path of the file, which ends in .npz.
    arrays: The arrays by name.

  Raises:
    OSError: If it cannot be written; what was there before stays.
  """
  temporary = path.with_name(f'tmp_{path.name}')
  try:
    np.savez(temporary, allow_pickle=False, **arrays)
    os.replace(temporary, path)
  except BaseException:
    temporary.unlink(missing_ok=True)
    raise


def read(path: pathlib.Path) -> dict[str, np.ndarray] | None:
  """Reads arrays; of a file that holds anything else, nothing is run.

  Args:
    path: The path of the file.

  Returns:
    The arrays by name; None if the file is missing, or not one of arrays.
  """
  try:
    with np.load(path, allow_pickle=False) as kept:
      return dict(kept)
  except (OSError, ValueError, zipfile.BadZipFile, EOFError, AttributeError):
    return None
