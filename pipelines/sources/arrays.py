"""Data sets of arrays, from an npz file or a function."""

from __future__ import annotations

import pathlib
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import datasets, errors, options, spec
from . import hashing, kinds

_CLASS_NAMES = 'class_names'
_SPLIT_NAMES = (*hashing.SPLITS, *hashing.ALIASES)
_LAYOUT = (
    'expected train_image, train_label, test_image, ..., or image, label and '
    'splits by hash'
)


def of_npz(path: str, chosen: options.Options) -> datasets.Dataset:
  """Opens a file of arrays by name, as written by `np.savez`.

  Args:
    path: The file. Its arrays are named `train_image`, `train_label`,
      `test_image` and so on, by split and feature, or `image`, `label` and so
      on, with splits by hash. `class_names` is optional and names the classes
      of the label. `kinds.infer` determines the meaning of the arrays.
    chosen: Options of splits and the tokenization of texts.

  Returns:
    The data set, in memory.

  Raises:
    DataError: If the file or an array is damaged or arrays are inconsistent.
  """
  file = pathlib.Path(path).expanduser()
  where = f'dataset: {file}'
  with errors.prefixed(where):
    found = _read(file)
    class_names = found.pop(_CLASS_NAMES, None)
    splits = _by_split(found)
    return _dataset(f'npz:{path}', splits, class_names, chosen)


def of_function(
    name: str, function: Callable[[], Any], chosen: options.Options
) -> datasets.Dataset:
  """Opens the result of a function.

  Args:
    name: The name of the data set, such as 'my_data:load'.
    function: A function that returns arrays by feature by split, such as
      ``{'train': {'image': array, 'label': array}, 'test': ...}``, or arrays by
      feature, with splits by hash. Either may also hold `class_names`. Other
      values are converted to arrays. Alternatively, it returns a `Dataset`.
    chosen: Options of splits and the tokenization of texts.

  Returns:
    The data set, in memory unless the function returned it otherwise.

  Raises:
    DataError: If the result is none of these, or arrays are inconsistent.
      Errors of the function itself are not caught.

  Example:
    >>> from pipelines import options
    >>> from pipelines.sources import arrays
    >>> def load():
    ...   return {'numbers': [[1.5], [2.5]] * 50, 'label': ['no', 'yes'] * 50}
    >>> chosen = options.Options(validation_split='none', test_split='none')
    >>> dataset = arrays.of_function('load', load, chosen)
    >>> dataset.spec['label'].class_names
    ('no', 'yes')
  """
  returned = function()
  if isinstance(returned, datasets.Dataset):
    return returned
  with errors.prefixed(f'dataset: {name}'):
    if not isinstance(returned, Mapping) or not returned:
      raise errors.DataError(
          f'the function returned {type(returned).__name__}; expected'
          " {'train': {'image': array, 'label': array}, ...}, arrays by"
          ' name, or a Dataset.'
      )
    values = dict(returned)
    class_names = values.pop(_CLASS_NAMES, None)
    is_split = [isinstance(value, Mapping) for value in values.values()]
    if any(is_split) and not all(is_split):
      raise errors.DataError(
          f'the function returned {", ".join(map(repr, values))}; expected all '
          'of them by split, or none.'
      )
    splits = values if any(is_split) else {hashing.TRAIN: values}
    splits = {
        hashing.ALIASES.get(split, split): {
            feature: _array(feature, value) for feature, value in some.items()
        }
        for split, some in splits.items()
    }
    return _dataset(name, splits, class_names, chosen)


def _read(file: pathlib.Path) -> dict[str, np.ndarray]:
  name = None
  try:
    archive = np.load(file, allow_pickle=False)
    if isinstance(archive, np.ndarray):
      raise errors.DataError(
          'the file holds one unnamed array; expected several, as written by '
          'np.savez.'
      )
    found = {}
    with archive:
      for name in archive.files:
        found[name] = archive[name]
      return found
  except FileNotFoundError:
    raise errors.DataError('there is no such file.') from None
  except IsADirectoryError:
    raise errors.DataError(
        'it is a directory; expected an .npz file, as written by np.savez.'
    ) from None
  except (
      OSError,
      ValueError,
      EOFError,
      zipfile.BadZipFile,
      zlib.error,
  ) as error:
    if isinstance(error, errors.DataError):
      raise
    if name is None and 'pickle' in str(error):  # What it takes text for.
      raise errors.DataError(
          'the file is not an .npz file; write one with np.savez.'
      ) from None
    what = f'array {name!r}' if name else 'the file'
    remedy = (
        'write one with np.savez from arrays of numbers or strings'
        if 'allow_pickle' in str(error)
        else 'restore it from a backup'
    )
    raise errors.DataError(
        f'{what} cannot be read: {errors.one_line(error)}; {remedy}.'
    ) from None


def _by_split(
    found: dict[str, np.ndarray],
) -> dict[str, dict[str, np.ndarray]]:
  splits: dict[str, dict[str, np.ndarray]] = {}
  without = []
  for name, array in found.items():
    split, _, feature = name.partition('_')
    if split in _SPLIT_NAMES and feature:
      split = hashing.ALIASES.get(split, split)
      splits.setdefault(split, {})[feature] = _array(name, array)
    else:
      without.append(name)
  is_reversed = any(
      re.fullmatch(rf'.+_({"|".join(_SPLIT_NAMES)})', name) for name in without
  )
  if not splits and without and not is_reversed:
    return {
        hashing.TRAIN: {name: _array(name, found[name]) for name in without}
    }
  if without or hashing.TRAIN not in splits:
    raise errors.DataError(
        f'the arrays are {", ".join(found) or "none"}; {_LAYOUT}.'
    )
  return splits


def _array(name: str, value: Any) -> np.ndarray:
  """Returns an array whose first axis is over examples."""
  try:
    array = np.asarray(value)
  except ValueError as error:  # Lists of different lengths.
    raise errors.DataError(
        f'array {name!r}: {errors.one_line(error)}; expected examples of equal '
        'shape.'
    ) from None
  if array.dtype.kind == 'O' and all(isinstance(v, str) for v in array.flat):
    array = array.astype(np.str_)
  if array.dtype.kind == 'S':
    array = np.char.decode(array, 'utf-8', 'replace')
  if array.dtype.kind not in 'biufU':
    raise errors.DataError(
        f'array {name!r} has dtype {array.dtype}; expected numbers, booleans '
        'or strings; convert it with array.astype.'
    )
  if not array.ndim:
    raise errors.DataError(
        f'array {name!r} has no axis for examples; expected [n, ...].'
    )
  return array


def _dataset(
    name: str,
    splits: dict[str, dict[str, np.ndarray]],
    class_names: Any,
    chosen: options.Options,
) -> datasets.Dataset:
  _check_names(splits)
  keys = {split: _keys(some) for split, some in splits.items()}
  choice = hashing.choose(keys, chosen)
  names = list(splits[hashing.TRAIN])
  if class_names is not None and spec.LABEL not in names:
    raise errors.DataError('class_names: there is no array `label` to name.')
  named = () if class_names is None else _class_names(class_names)
  features: dict[str, spec.Feature] = {}
  values: dict[str, dict[str, np.ndarray]] = {s: {} for s in choice.parts}
  notes: list[str] = []
  for feature in names:
    found = kinds.infer(
        feature,
        {
            split: splits[part.own][feature][part.indices]
            for split, part in choice.parts.items()
        },
        named,
        chosen,
        choice.place,
    )
    features[feature] = found.feature
    notes += found.notes
    for split, array in found.arrays.items():
      values[split][feature] = array
  targets = tuple(feature for feature in names if feature == spec.LABEL)
  return datasets.of_arrays(
      name,
      values,
      spec.Spec(features, targets),
      notes=[*choice.notes, *notes],
      left_out=choice.left_out,
  )


def _class_names(given: Any) -> tuple[str, ...]:
  return tuple(str(n).strip() for n in np.asarray(given).reshape(-1).tolist())


def _check_names(splits: dict[str, dict[str, np.ndarray]]) -> None:
  if hashing.TRAIN not in splits:
    raise errors.DataError(
        f'the splits are {", ".join(splits)}; expected one named train.'
    )
  names = set(splits[hashing.TRAIN])
  for split, some in splits.items():
    if set(some) != names:
      raise errors.DataError(
          f'{split} has {_listed(some)}, train {_listed(names)}; expected the '
          'same in all splits.'
      )
    lengths = {name: len(array) for name, array in some.items()}
    if len(set(lengths.values())) > 1:
      each = ', '.join(f'{name} {length}' for name, length in lengths.items())
      raise errors.DataError(
          f'the arrays of {split} have different numbers of examples: {each}.'
      )


def _listed(names: Any) -> str:
  return ', '.join(sorted(names)) or 'nothing'


def _keys(some: Mapping[str, np.ndarray]) -> list[bytes]:
  """Returns the bytes of each example: of all features, by name."""
  rows = [_bytes(some[name]) for name in sorted(some)]
  return [b''.join(parts) for parts in zip(*rows, strict=True)]


def _bytes(array: np.ndarray) -> Sequence[bytes]:
  if array.dtype.kind == 'U':  # The raw bytes depend on the longest string.
    texts = array.reshape(len(array), -1).tolist()
    return ['\0'.join(row).encode('utf-8', 'surrogatepass') for row in texts]
  little = array.astype(array.dtype.newbyteorder('<'), copy=False)
  return [example.tobytes() for example in little]
