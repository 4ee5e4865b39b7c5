"""examples.npz: a checksum of each example of a new run."""

from __future__ import annotations

import pathlib

import numpy as np

from .. import data as data_lib
from . import array_files

_NAME = 'examples.npz'


def write(directory: pathlib.Path, data: data_lib.DataSpec) -> None:
  """Writes the checksums of the examples to a work directory, if there are any.

  Raises:
    OSError: If the file cannot be written.
  """
  if data.checksums:
    array_files.write(directory / _NAME, data.checksums)


def read(directory: pathlib.Path) -> dict[str, np.ndarray] | None:
  """Returns the checksums by split, or None if there are none to be read."""
  return array_files.read(directory / _NAME)


def first_difference(
    directory: pathlib.Path, data: data_lib.DataSpec, *names: str
) -> str | None:
  """Finds the first example that has changed since the run began.

  Args:
    directory: The work directory.
    data: The data of this start.
    *names: The splits to compare. Default: all.

  Returns:
    A description, such as 'example 7 of train', or None if it is not known.
  """
  from pipelines import datasets  # A work directory is read before TensorFlow.

  before = read(directory)
  if before is None:
    return None
  kept = {n: each for n, each in before.items() if not names or n in names}
  return datasets.first_difference(kept, data.checksums)
