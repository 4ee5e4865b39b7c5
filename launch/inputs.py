"""Encodes the inputs of `predict` of a loaded run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipelines import encoding, raw_examples
from pipelines import spec as spec_lib

from . import programs
from .evaluating import predicting


def encoded(
    inputs: Any, spec: spec_lib.Spec, *, may_lack: bool = False
) -> dict[str, np.ndarray]:
  """Encodes examples by the features of the training data.

  Args:
    inputs: One of:
      a record, which maps columns or features to values, or a list of records;
      a mapping of the same names to lists of equal length, or a table with
      `columns` and `to_dict`, such as a DataFrame;
      an array ``[num_examples, ...]`` of each feature by name, as in the data
      set;
      for a run with one input, a list or an array of its values alone: numbers,
      texts, categories, or paths of images.
    spec: The features.
    may_lack: Whether numbers of raw examples may be missing. The mean replaces
      them.

  Raises:
    DataError: If a value is missing or invalid.
    ValueError: If the inputs have another form.
  """
  records = _records(inputs, spec)
  if records is None:
    if not isinstance(inputs, Mapping):
      inputs = {next(iter(spec.inputs)): inputs}
    return predicting.checked(inputs, spec)
  named = [
      raw_examples.Record(f'example {index}', values)
      for index, values in enumerate(records)
  ]
  found = encoding.encode(named, spec, may_lack=may_lack)
  for note in found.notes:
    programs.note(note)
  return found.arrays


def _records(
    inputs: Any, spec: spec_lib.Spec
) -> Sequence[Mapping[str, Any]] | None:
  """Returns raw examples, or None if the inputs are arrays of features."""
  if hasattr(inputs, 'to_dict') and hasattr(inputs, 'columns'):
    inputs = inputs.to_dict('list')
  if isinstance(inputs, Mapping):
    return _of_mapping(inputs, spec)
  if isinstance(inputs, str | os.PathLike):
    inputs = [inputs]
  is_listed = isinstance(inputs, Sequence | np.ndarray) and len(inputs)
  if is_listed and all(isinstance(each, Mapping) for each in inputs):
    return list(inputs)
  if len(spec.inputs) != 1:
    raise ValueError(_expected(spec, inputs))
  if _is_numeric(inputs):
    return None
  [name] = spec.inputs
  return [{name: value} for value in inputs]


def _of_mapping(
    inputs: Mapping[str, Any], spec: spec_lib.Spec
) -> Sequence[Mapping[str, Any]] | None:
  known = {*_columns(spec), *spec.inputs}
  used = {name: value for name, value in inputs.items() if name in known}
  is_raw = any(
      name not in spec.inputs or not _is_numeric(value)
      for name, value in used.items()
  )
  if not is_raw:  # The caller checks for missing features.
    return None
  if not any(map(_is_several, used.values())):
    return [inputs]
  if not all(map(_is_several, used.values())):
    raise ValueError(_expected(spec, inputs))
  lists = {name: list(value) for name, value in used.items()}
  lengths = {name: len(value) for name, value in lists.items()}
  if len(set(lengths.values())) > 1:
    raise ValueError(
        f'inputs: expected as many values in each column, got {lengths}.'
    )
  rows = zip(*lists.values(), strict=True)
  return [dict(zip(lists, row, strict=True)) for row in rows]


def _columns(spec: spec_lib.Spec) -> list[str]:
  """Returns the names that a record may have, in the order of the features."""
  return [
      column
      for name, feature in spec.inputs.items()
      for column in feature.columns or (name,)
  ]


def _is_several(value: Any) -> bool:
  return isinstance(value, Iterable) and not isinstance(value, str)


def _is_numeric(value: Any) -> bool:
  """Returns whether a value can be an array of numbers with an axis."""
  try:
    array = np.asarray(value)
  except ValueError:  # Lists of different lengths.
    return True  # Converting them to an array reports the error.
  return array.dtype.kind in 'biuf' and array.ndim > 0


def _expected(spec: spec_lib.Spec, inputs: Any) -> str:
  columns = ', '.join(_columns(spec))
  return (
      f'inputs: expected a list of records of {columns}; a mapping of these to '
      f'lists; or a mapping of {", ".join(spec.inputs)} to arrays. Got a '
      f'{type(inputs).__name__}.'
  )
