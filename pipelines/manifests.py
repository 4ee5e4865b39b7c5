"""Checks the JSON files of a prepared data set before TFDS uses them.

TFDS imports the module of every feature class named in `features.json` or
`dataset_info.json`, so a data set could run any importable code. Only TFDS's
own modules are allowed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core import naming
from tensorflow_datasets.core.utils import file_utils

from . import errors

_TRUSTED = 'tensorflow_datasets.'
# Spellings of the same field in TFDS's formats and in protobuf's JSON.
_CLASS_KEYS = ('pythonClassName', 'python_class_name', 'type')
# The required keys of each file, with alternatives.
_REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    'dataset_info.json': (('name',), ('version',), ('splits',)),
    'features.json': (_CLASS_KEYS,),
}


def check(name: str, data_dir: str | os.PathLike[str] | None) -> None:
  """Checks that the files of a data set name only classes of TFDS.

  Args:
    name: A name as for `tfds.builder`.
    data_dir: The folder of prepared data sets. Default: TFDS's.

  Raises:
    DataError: If a file names another class.
  """
  for path, value in _documents(name, data_dir):
    for class_name in _class_names(value):
      # TFDS imports nothing for a name without a module.
      if '.' in class_name and not class_name.startswith(_TRUSTED):
        raise errors.DataError(
            f'dataset: {path} names the class {class_name!r}, which TFDS would '
            'import; only classes of tensorflow_datasets are allowed. Prepare '
            'the data set again with features of TFDS.'
        )


def damage(
    name: str,
    data_dir: str | os.PathLike[str] | None,
    reason: str | None = None,
) -> str | None:
  """Describes what is wrong with the files of a data set TFDS cannot open.

  Args:
    name: A name as for `tfds.builder`.
    data_dir: The folder of prepared data sets. Default: TFDS's.
    reason: TFDS's reason for not opening it, if known.

  Returns:
    The first file that TFDS cannot have written, or the folder and the reason,
    and a remedy. None if there are no files, or all look valid and no reason is
    given.
  """
  try:
    found = list(_documents(name, data_dir))
  except ValueError:  # TFDS cannot even parse the name.
    return None
  wrong = [text for path, value in found if (text := _wrong(path, value))]
  if found and reason and not wrong:
    wrong = [f'TFDS cannot use {found[-1][0].parent}: {reason}']
  if not wrong:
    return None
  return (
      f'{wrong[0]}; restore the data set from a backup, or remove its folder '
      'and prepare it again.'
  )


def _wrong(path: Any, value: Any) -> str | None:
  """Describes what is wrong with a file, independently of the data set."""
  if value is None:
    return f'{path} is missing'
  if isinstance(value, Exception):
    return f'{path} is damaged ({errors.one_line(value)})'
  if not isinstance(value, dict):
    return f'{path} is damaged (it is not a JSON object)'
  for keys in _REQUIRED[path.name]:
    if not any(key in value for key in keys):
      return f'{path} is damaged (it lacks {keys[0]!r})'
  return None


def _documents(
    name: str, data_dir: str | os.PathLike[str] | None
) -> Iterator[tuple[Any, Any]]:
  """Yields the path and content of each file that TFDS may read.

  The content is an error if the file cannot be read, and None if one of a pair
  of files is missing.
  """
  parsed, options = naming.parse_builder_name_kwargs(name)
  for root in file_utils.list_data_dirs(given_data_dir=data_dir):
    folder = tfds.core.Path(root) / parsed.name
    folders = [folder]
    for _ in range(2):  # Configs, versions.
      folders += [path for path in _children(folders) if path not in folders]
    config = options.get('config')
    for folder in folders:
      if config and config not in folder.parts:
        continue
      found = {key: folder / key for key in _REQUIRED}
      found = {key: path for key, path in found.items() if path.exists()}
      for key in _REQUIRED if found else ():
        yield folder / key, _read(folder / key) if key in found else None


def _children(folders: list[Any]) -> list[Any]:
  return sorted(
      path
      for folder in folders
      if folder.exists() and folder.is_dir()
      for path in folder.iterdir()
      if not path.name.startswith('.') and path.is_dir()
  )


def _read(path: Any) -> Any:
  try:
    return json.loads(path.read_text())
  except (OSError, ValueError, RecursionError) as error:
    return error


def _class_names(value: Any) -> Iterator[str]:
  """Yields the class names in a JSON value at any depth.

  Features may contain others as JSON in a string.
  """
  if isinstance(value, str) and value.lstrip()[:1] in ('{', '['):
    try:
      value = json.loads(value)
    except (ValueError, RecursionError):
      return
  if isinstance(value, dict):
    for key, item in value.items():
      if key in _CLASS_KEYS and isinstance(item, str):
        yield item
      yield from _class_names(item)
  elif isinstance(value, list):
    for item in value:
      yield from _class_names(item)
