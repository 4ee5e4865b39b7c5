"""NumPy's .npz files in a work directory."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np

from . import whole_files


def write(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays atomically.

  Raises:
    OSError: If the file cannot be written. A previous file then stays.
  """
  with whole_files.replacing(path) as temporary, temporary.open('wb') as file:
    np.savez(file, allow_pickle=False, **arrays)


def read(path: pathlib.Path) -> dict[str, np.ndarray] | None:
  """Reads arrays, without unpickling objects (which could run code).

  Returns:
    The arrays by name; None if the file is missing or not an .npz file.
  """
  try:
    with np.load(path, allow_pickle=False) as kept:
      return dict(kept)
  except Exception:  # Damaged archives raise many kinds of exceptions.
    return None
