"""Opens data sets by name, from any kind of source."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .. import datasets, errors, options, preparation
from . import arrays, folder, table, tfds_sets

__all__ = ('open_dataset', 'route')

Dataset = datasets.Dataset
DataError = errors.DataError
Options = options.Options
DEBIAN_ARCHIVES_DIR = preparation.DEBIAN_ARCHIVES_DIR

_SOURCES = {
    'csv': table.of_csv,
    'folder': folder.of_folder,
    'npz': arrays.of_npz,
    'tfds': tfds_sets.of_tfds,
}
# The prefixes required for files of these types.
_SUFFIXES = {'.csv': 'csv', '.tsv': 'csv', '.npz': 'npz'}


def open_dataset(
    name: str, load: Callable[[], Any] | None = None, **chosen: Any
) -> datasets.Dataset:
  """Opens a data set by name.

  Args:
    name: `tfds:NAME` or just NAME for a TFDS data set or one prepared in
      `data_dir`; `folder:DIR`; `npz:FILE`; `csv:FILE?label=COLUMN`.
    load: A function that returns the data set, see `arrays.of_function`. The
      name is then only a label.
    **chosen: The fields of `options.Options`.

  Returns:
    The data set.

  Raises:
    DataError: If the data set does not exist or cannot be used, or an option
      does not fit it.

  Example:
    dataset = sources.open_dataset('fashion_mnist')
    train = dataset.split('train')
  """
  asked = options.Options(**chosen)
  if load is not None:
    return arrays.of_function(name, load, asked)
  prefix, _, rest = name.partition(':')
  if prefix in _SOURCES:
    return _SOURCES[prefix](rest, asked)
  _check_no_path(name)
  return tfds_sets.of_tfds(name, asked)


def _check_no_path(name: str) -> None:
  path, mark, query = name.partition('?')
  is_folder = os.sep in path and os.path.isdir(os.path.expanduser(path))
  suffix = os.path.splitext(path)[1].lower()
  prefix = 'folder' if is_folder else _SUFFIXES.get(suffix)
  if prefix:
    query = mark + query if query or prefix != 'csv' else '?label=COLUMN'
    raise errors.DataError(
        f'dataset: {name!r} is a path, not the name of a data set; give it as '
        f'{prefix}:{path}{query}.'
    )


def route(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    archives_dir: str | os.PathLike[str] | None = None,
) -> str | None:
  """Returns how a data set would be obtained, within about 5 s.

  Args:
    name: A name in TFDS, or of a data set prepared in `data_dir`.
    data_dir: The folder of prepared data sets. Default: TFDS's.
    archives_dir: A folder with the archives under upstream's names. Default:
      that of Debian's package, for Fashion-MNIST.

  Returns:
    'prepared', 'archives' or 'download', the first possible one, or None.

  Raises:
    DataError: If the name is unknown.
  """
  builder = preparation.make_builder(name, data_dir)
  return preparation.find_route(builder, name, archives_dir)
