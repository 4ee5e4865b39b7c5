"""Looks at a prepared set's JSON files before TFDS acts on them.

TFDS imports the module of every feature class that `features.json` or
`dataset_info.json` names, so that a data set could run any code that can be
imported. Only TFDS's own modules are let through.
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
# How TFDS's formats, old and new, and protobuf's JSON spell the same field.
_CLASS_KEYS = ('pythonClassName', 'python_class_name', 'type')
# Of each file, the keys of which one must be there.
_REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    'dataset_info.json': (('name',), ('version',), ('splits',)),
    'features.json': (_CLASS_KEYS,),
}


def check(name: str, data_dir: str | os.PathLike[str] | None) -> None:
  """Checks that a set's files name no classes but those of TFDS.

  Args:
    name: A name as `tfds.builder` takes it.
    data_dir: The folder of prepared sets. If None, TFDS's default.

  Raises:
    DataError: If a file names another class.
  """
  for path, value in _documents(name, data_dir):
    for class_name in _class_names(value):
      # TFDS looks a name without a module up and imports nothing.
      if '.' in class_name and not class_name.startswith(_TRUSTED):
        raise errors.DataError(
            f'dataset: {path} names the class {class_name!r}, which TFDS would '
            'import; only classes of tensorflow_datasets are allowed. Prepare '
            'the set again with features of TFDS.'
        )


def damage(
    name: str,
    data_dir: str | os.PathLike[str] | None,
    reason: str | None = None,
) -> str | None:
  """Describes what is wrong with the files of a set that TFDS cannot open.

  Args:
    name: A name as `tfds.builder` takes it.
    data_dir: The folder of prepared sets. If None, TFDS's default.
    reason: Why TFDS cannot open it, if it said so.

  Returns:
    The first file that cannot be what TFDS wrote, or the folder and the
    reason, and what to do; None if there are no files, or all are as they
    must be and no reason is given.
  """
  try:
    found = list(_documents(name, data_dir))
  except ValueError:  # TFDS cannot even parse the name.
    return None
  wrong = [text for path, value in found if (text := _wrong(path, value))]
  if found and reason and not wrong:
    wrong = [f'TFDS cannot use what {found[-1][0].parent} says: {reason}']
  if not wrong:
    return None
  return (
      f'{wrong[0]}; bring the set back from a copy, or remove its folder and '
      'prepare it again.'
  )


def _wrong(path: Any, value: Any) -> str | None:
  """Describes what is wrong with a file, in general."""
  if value is None:
    return f'{path} is missing'
  if isinstance(value, Exception):
    return f'{path} is damaged ({errors.one_line(value)})'
  if not isinstance(value, dict):
    return f'{path} is damaged (it holds no JSON object)'
  for keys in _REQUIRED[path.name]:
    if not any(key in value for key in keys):
      return f'{path} is damaged (it lacks {keys[0]!r})'
  return None


def _documents(
    name: str, data_dir: str | os.PathLike[str] | None
) -> Iterator[tuple[Any, Any]]:
  """Yields the path and content of each file that TFDS may read for a set.

  The content is the error where it cannot be read, and None for the one of a
  pair of files that is not there.
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
  """Yields the classes that a JSON value names at any depth.

  Features may hold others as JSON in a string.
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
