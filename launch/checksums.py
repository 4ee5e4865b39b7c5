"""examples.npz: a checksum of each example that a run began with."""

from __future__ import annotations

import os
import pathlib
import zipfile

import numpy as np

from . import data as data_lib

_NAME = 'examples.npz'


def write(directory: pathlib.Path, data: data_lib.DataSpec) -> None:
  """Writes the checksums of the examples in memory, if there are any.

  Args:
    directory: The work directory.
    data: The data of the run.

  Raises:
    OSError: If the file cannot be written.
  """
  if data.checksums:
    temporary = directory / f'tmp_{_NAME}'
    np.savez(temporary, **data.checksums)
    os.replace(temporary, directory / _NAME)


def first_difference(
    directory: pathlib.Path, data: data_lib.DataSpec, *names: str
) -> str | None:
  """Names the first example that is not the one that the run began with.

  Args:
    directory: The work directory.
    data: The data of this start.
    *names: Of which splits; by default of all.

  Returns:
    A description, such as 'example 7 of train'; None if it is not known.
  """
  from pipelines import datasets  # A work directory is read before TensorFlow.

  try:
    with np.load(directory / _NAME) as before:
      kept = {n: before[n] for n in before if not names or n in names}
      return datasets.first_difference(kept, data.checksums)
  except (OSError, ValueError, zipfile.BadZipFile):
    return None
