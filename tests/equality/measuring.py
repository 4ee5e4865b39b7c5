"""How far two runs are apart: in numbers, in weights, in what is counted."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from core import checkpoint_files
from launch import programs, workdir
from launch.comparing import differences
from launch.comparing import runs as comparing

# What a result says that is no number of the run.
_PLACES = ('checkpoint', 'path', comparing.WEIGHTS)
_WEIGHTS = ('model/', 'average/')


@dataclasses.dataclass(frozen=True)
class Gap:
  """How far a run is from another.

  Attributes:
    numbers: The largest relative difference of two numbers of rows and
      results: losses, metrics, rates.
    of_number: Which number that is.
    weights: The largest difference of a weight, as a share of the largest of
      its variable.
    of_weights: Which variable that is.
    counts: The names of counts that differ, and what is missing.
  """

  numbers: float
  of_number: str
  weights: float
  of_weights: str
  counts: tuple[str, ...]


def compare(reference: pathlib.Path, run: pathlib.Path) -> Gap:
  """Compares a run with another.

  Args:
    reference: The work directory of the other.
    run: The work directory of the run.

  Returns:
    How far they are apart.
  """
  one, other = (workdir.Workdir(str(each)) for each in (reference, run))
  found = comparing.compare(one, other)
  number, counts = of_values(found.computed)
  missing = len(one.read_metrics()) - found.num_rows
  if missing or not (one.read_result() and other.read_result()):
    counts = (*counts, f'{missing} rows or a result are missing')
  return Gap(*number, *of_arrays(weights(reference), weights(run)), counts)


def of_values(
    found: list[differences.Difference] | Any,
) -> tuple[tuple[float, str], tuple[str, ...]]:
  """Tells numbers that differ from counts that do.

  Args:
    found: What differs in rows and results.

  Returns:
    The largest relative difference of two numbers with its name, and the names
    of all else: of counts, of what one has and the other lacks.
  """
  largest, counts = (0.0, ''), []
  for each in found:
    name = f'{each.name} at {each.about}'
    if each.name.rpartition('.')[2] in _PLACES:
      continue
    if not all(isinstance(value, float) for value in each.values):
      counts.append(name)
      continue
    one, other = each.values
    gap = abs(one - other) / max(abs(one), abs(other))
    largest = max(largest, (gap, name))
  return largest, tuple(counts)


def of_arrays(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]
) -> tuple[float, str]:
  """Returns the largest difference of two arrays of a name, and the name.

  Args:
    one: Arrays by name. A difference is a share of the largest of its array.
    other: The other ones, of the same names.

  Raises:
    ValueError: If the names differ.
  """
  if one.keys() != other.keys():
    raise ValueError(f'names differ: {sorted(one.keys() ^ other.keys())}.')
  largest = (0.0, '')
  for name, array in one.items():
    gap = float(np.max(np.abs(array - other[name]), initial=0.0))
    if gap:
      size = float(np.max(np.abs(array), initial=0.0))
      largest = max(largest, (gap / size if size else np.inf, name))
  return largest


def weights(run: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads the last checkpoint of a run: the model, and its average."""
  tf: Any = programs.import_tensorflow()
  newest = checkpoint_files.ordered(str(run / 'checkpoints'))[0]
  reader = tf.train.load_checkpoint(newest)
  names = {
      key: checkpoint_files.name_of(key)
      for key in reader.get_variable_to_shape_map()
  }
  return {
      name: reader.get_tensor(key)
      for key, name in names.items()
      if name and name.startswith(_WEIGHTS)
  }
