"""Predictions of a split, of files and of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import batches, errors, splits
from pipelines import spec as spec_lib

from .. import tasks

_BATCH_SIZE = 250
# How far pixels may exceed [0, 1], such as after a resize.
_ROUNDING = 1e-3
Columns = dict[str, np.ndarray]


class Predictor:
  """Predicts examples in batches of one size, to be traced only once."""

  def __init__(self, task: tasks.Task, spec: spec_lib.Spec):
    """Takes a task with a restored model, and the features of its data."""
    self._names = list(spec.inputs)
    self._predict = tf.function(task.predict, autograph=False)

  def __call__(self, inputs: Mapping[str, Any]) -> Columns:
    """Predicts.

    Args:
      inputs: An array ``[num_examples, ...]`` per input; other entries are
        ignored.

    Returns:
      Columns ``[num_examples, ...]``, with Python strings.
    """
    arrays = {name: np.asarray(inputs[name]) for name in self._names}
    size = len(next(iter(arrays.values())))
    parts = [
        self._batch({n: a[i : i + _BATCH_SIZE] for n, a in arrays.items()})
        for i in range(0, size, _BATCH_SIZE)
    ]
    return {
        name: np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }

  def _batch(self, arrays: Columns) -> Columns:
    size = len(next(iter(arrays.values())))
    missing = _BATCH_SIZE - size
    padded = {
        name: np.concatenate([array, np.repeat(array[:1], missing, axis=0)])
        for name, array in arrays.items()
    }
    found = self._predict({n: tf.constant(a) for n, a in padded.items()})
    return {name: _strings(v.numpy()[:size]) for name, v in found.items()}


def of_split(
    predictor: Predictor, data: splits.Split
) -> Iterator[tuple[Columns, Columns]]:
  """Predicts every example of a split once, in order.

  Args:
    predictor: The predictor.
    data: The split.

  Yields:
    For some examples at a time, their `index` and targets, and predictions.
  """
  targets = data.spec.targets
  for batch in batches.eval_batches(data, global_batch_size=_BATCH_SIZE):
    is_real = batch['weight'].numpy() > 0
    arrays = {name: value.numpy()[is_real] for name, value in batch.items()}
    known = {
        name: decoded(data.spec[name], arrays[name])
        for name in targets
        if name in data.spec and data.spec[name].kind != spec_lib.MASK
    }
    yield {'index': arrays['index'], **known}, predictor(arrays)


def decoded(feature: spec_lib.Feature, values: np.ndarray) -> np.ndarray:
  """Returns values in human-readable form.

  Args:
    feature: The feature.
    values: ``[num_examples, ...]``.

  Returns:
    The names of classes, separated by commas if there are several, and empty
    for values that are not classes, such as -1. Other values are unchanged.
  """
  names = np.asarray(feature.class_names, object)
  if feature.kind == spec_lib.CLASS and len(names):
    known = (values >= 0) & (values < len(names))
    return np.where(known, names[np.where(known, values, 0)], '')
  if feature.kind == spec_lib.CLASSES and len(names):
    return np.asarray([','.join(names[row > 0]) for row in values], object)
  return values


def checked(
    inputs: Mapping[str, Any], spec: spec_lib.Spec
) -> dict[str, np.ndarray]:
  """Checks arrays of a caller against the features of the training data.

  Args:
    inputs: An array ``[num_examples, ...]`` per input. Images are uint8, or
      floats in [0, 1].
    spec: The features.

  Returns:
    The arrays, in the dtypes of the features.

  Raises:
    DataError: If an array is missing or does not fit.
  """
  arrays = {}
  for name, feature in spec.inputs.items():
    if name not in inputs:
      raise errors.DataError(
          f'inputs: there is no {name!r} ({feature.kind} '
          f'{list(feature.shape)}), but {", ".join(inputs) or "nothing"}.'
      )
    try:
      array = np.asarray(inputs[name])
    except ValueError as error:  # Lists of different lengths.
      raise errors.DataError(
          f'inputs: {name}: {errors.one_line(error)}; expected the same shape '
          'of every example.'
      ) from None
    if array.ndim == 1 and feature.shape == (1,):
      array = array[:, np.newaxis]  # Data sets may have this shape as well.
    if array.shape[1:] != feature.shape or not array.ndim or not len(array):
      raise errors.DataError(
          f'inputs: {name} is {list(array.shape)}; expected [num_examples'
          f'{"".join(f", {size}" for size in feature.shape)}].'
      )
    is_scaled = feature.kind == spec_lib.IMAGE and array.dtype.kind == 'f'
    dtype = np.dtype(np.float32 if is_scaled else feature.dtype)
    if array.dtype.kind not in 'biuf':
      raise errors.DataError(
          f'inputs: {name} is {array.dtype}; expected {dtype.name}.'
      )
    if is_scaled and not np.all(np.abs(array - 0.5) <= 0.5 + _ROUNDING):
      raise errors.DataError(
          f'inputs: {name} is {array.dtype} from {array.min():g} to '
          f'{array.max():g}; expected uint8 from 0 to 255, or floats from 0 '
          'to 1.'
      )
    cast = array.astype(dtype)
    if dtype.kind in 'iu' and not np.array_equal(cast, array):
      raise errors.DataError(
          f'inputs: {name} has values that {dtype.name} does not hold.'
      )
    arrays[name] = cast
  if len({len(array) for array in arrays.values()}) > 1:
    shown = ', '.join(f'{len(a):,} of {n}' for n, a in arrays.items())
    raise errors.DataError(f'inputs: expected as many of each, got {shown}.')
  return arrays


def named(names: Sequence[str]) -> Columns:
  """Returns the known columns of examples from files: the file names."""
  return {
      'index': np.arange(len(names)),
      'source': np.asarray(names, object),
  }


def _strings(values: np.ndarray) -> np.ndarray:
  """Converts TensorFlow's strings to Python strings."""
  if values.dtype != object:
    return values
  decode = np.vectorize(lambda text: text.decode(errors='replace'), [object])
  return decode(values)
