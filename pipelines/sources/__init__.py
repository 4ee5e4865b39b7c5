"""Data sets by name, wherever their examples are."""

from __future__ import annotations

import os
from typing import Any

from .. import datasets, errors, options, preparation
from . import arrays, folder, table, tfds_sets

Dataset = datasets.Dataset
DataError = errors.DataError
Options = options.Options
DEBIAN_ARCHIVES_DIR = preparation.DEBIAN_ARCHIVES_DIR

_TFDS = 'tfds'
_SOURCES = {
    _TFDS: tfds_sets.of_tfds,
    'folder': folder.of_folder,
    'npz': arrays.of_npz,
    'csv': table.of_csv,
}
of_function = arrays.of_function


def open_dataset(name: str, **chosen: Any) -> datasets.Dataset:
  """Opens a data set by name.

  Args:
    name: A name of TFDS or of a set that is prepared in `data_dir`, with or
      without `tfds:` before it; ``folder:DIR``, ``npz:FILE`` or
      ``csv:FILE?label=COLUMN``. (A function's set opens by `of_function`.)
    **chosen: The fields of `options.Options`.

  Returns:
    The data set.

  Raises:
    DataError: If there is no such set, it cannot be used, or an option does not
      fit it.

  Example:
    dataset = sources.open_dataset('fashion_mnist')
    train = dataset.split('train')
  """
  prefix, colon, rest = name.partition(':')
  if colon and prefix in _SOURCES:
    return _SOURCES[prefix](rest, options.Options(**chosen))
  return tfds_sets.of_tfds(name, options.Options(**chosen))


def route(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    archives_dir: str | os.PathLike[str] | None = None,
) -> str | None:
  """Says by which way a set would be had, within about 5 s.

  Args:
    name: A name of TFDS, or of a set prepared in `data_dir`.
    data_dir: The folder of prepared sets; None means TFDS's default.
    archives_dir: A folder with the set's archives under upstream's names;
      None means the one of Debian's package, for Fashion-MNIST.

  Returns:
    'prepared', 'archives' or 'download', the first that serves, or None.

  Raises:
    DataError: If the name is unknown.
  """
  builder = preparation.make_builder(name, data_dir)
  return preparation.find_route(builder, name, archives_dir)
