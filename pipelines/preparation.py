"""Finds a way to obtain a data set, and prepares it."""

from __future__ import annotations

import contextlib
import difflib
import os
import pathlib
import shutil
import sys
import threading
from collections.abc import Iterator

import requests
import tensorflow_datasets as tfds

from . import archives, errors, files, manifests

DEBIAN_ARCHIVES_DIR = '/usr/share/datasets/fashion-mnist'

_ANSWER_TIMEOUT_S = 5
# Status codes of a proxy that cannot or may not reach the host.
_GATEWAY_ERRORS = (407, 502, 503, 504)


DataError = errors.DataError


def make_builder(
    name: str, data_dir: str | os.PathLike[str] | None
) -> tfds.core.DatasetBuilder:
  """Returns TFDS's builder of a known or prepared data set.

  Args:
    name: A name in TFDS, `set`, `set/config` or with `:version`.
    data_dir: The folder of prepared data sets. Default: TFDS's.

  Returns:
    The builder.

  Raises:
    DataError: If there is no such data set (with similar names), or its files
      are damaged or would make TFDS import foreign code.
  """
  folder = None if data_dir is None else os.path.expanduser(data_dir)
  try:
    manifests.check(name, folder)
    builder = tfds.builder(name, data_dir=folder)
    if not builder.name:
      raise ValueError('the set has no name')
    return builder
  except DataError:
    raise
  except tfds.core.DatasetNotFoundError:
    if damage := manifests.damage(name, folder):
      raise DataError(f'dataset: {name}: {damage}') from None
    raise DataError(_unknown(name, folder)) from None
  except Exception as error:
    damage = manifests.damage(name, folder, errors.one_line(error))
    raise DataError(
        f'dataset: {name}: {damage}'
        if damage
        else f'dataset: TFDS cannot make {name!r}: {errors.one_line(error)}.'
    ) from error


def _unknown(name: str, folder: str | None) -> str:
  known = tfds.list_builders(with_community_datasets=False)
  with contextlib.suppress(StopIteration):  # The folder does not exist.
    known += next(os.walk(folder))[1] if folder else []
  close = difflib.get_close_matches(name, known, n=3)
  if os.path.isdir(name):
    close.append(f'folder:{name}')
  meant = f'; did you mean {" or ".join(close)}?' if close else '.'
  return (
      f'dataset: TFDS does not know {name!r}, nor is it prepared in '
      f'{folder or "the default data_dir"}{meant}'
  )


def is_prepared(builder: tfds.core.DatasetBuilder) -> bool:
  """Returns whether a data set is prepared, which TFDS does atomically.

  Args:
    builder: The builder of the data set.

  Returns:
    Whether it can be read.
  """
  # Checks the path first, since TFDS warns about missing folders.
  return builder.data_path.exists() and builder.is_prepared()


def archives_folder(
    name: str, archives_dir: str | os.PathLike[str] | None
) -> str | None:
  """Returns the folder that holds archives of a data set, or None.

  A folder given by the user counts if it holds any of the archives, so that
  missing ones are reported instead of silently downloaded.

  Args:
    name: A name in TFDS, or of a data set prepared there.
    archives_dir: A folder of archives. Default: Debian's, for Fashion-MNIST.

  Returns:
    The path of the folder.
  """
  if archives_dir is not None:
    folder = os.path.expanduser(archives_dir)
    lacking = archives.missing(folder, name)
    return folder if len(lacking) < len(archives.expected(name)) else None
  # MNIST and others have the same file names, so check the name of the set.
  if name != 'fashion_mnist' or archives.missing(DEBIAN_ARCHIVES_DIR, name):
    return None
  return DEBIAN_ARCHIVES_DIR


def find_route(
    builder: tfds.core.DatasetBuilder,
    name: str,
    archives_dir: str | os.PathLike[str] | None,
) -> str | None:
  """Finds the way in which a data set can be obtained.

  Args:
    builder: The builder of the data set.
    name: A name in TFDS, or of a data set prepared there.
    archives_dir: A folder of archives. Default: Debian's, for Fashion-MNIST.

  Returns:
    'prepared', 'archives', 'download' or None.
  """
  if is_prepared(builder):
    return 'prepared'
  if archives_folder(name, archives_dir):
    return 'archives'
  return 'download' if _downloads_answer(builder) else None


def _downloads_answer(builder: tfds.core.DatasetBuilder) -> bool:
  """Returns whether the host of the first download answers within 5 s."""
  urls = [url for url in builder.url_infos or {} if url.startswith('http')]
  if not urls:  # Generated, or at addresses that TFDS does not record.
    return True
  answers: list[int] = []

  def ask() -> None:
    with contextlib.suppress(requests.RequestException):
      answers.append(
          requests.head(urls[0], timeout=_ANSWER_TIMEOUT_S).status_code
      )

  # Uses a thread, since name resolution has no timeout.
  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  thread.join(_ANSWER_TIMEOUT_S)
  return bool(answers) and answers[0] not in _GATEWAY_ERRORS


def prepare(
    builder: tfds.core.DatasetBuilder,
    name: str,
    archives_dir: str | os.PathLike[str] | None,
) -> None:
  """Prepares a data set in the first possible way, unless it is prepared.

  One process prepares while others wait. TFDS writes to a folder of another
  name and renames it, so a killed process leaves nothing that could be mistaken
  for the data set.

  Args:
    builder: A builder from `make_builder`.
    name: The name with which it was made.
    archives_dir: The folder of archives given by the user, or None.

  Raises:
    DataError: If there is no way or the preparation fails.
  """
  root = pathlib.Path(str(builder.data_dir_root))
  if is_prepared(builder):
    return
  if not files.is_local(str(builder.data_dir_root)):
    raise DataError(
        f'data_dir: {name} is not prepared in {root}, and data sets can only be'
        ' prepared on mounted file systems; prepare it on one and copy it.'
    )
  if find_route(builder, name, archives_dir) is None:
    raise DataError(_no_way(builder, name, archives_dir))
  key = name.replace('/', '-').replace(':', '-')
  with _one_line_errors(name), files.lock(root / f'.{key}.lock'):
    # Another process may have prepared it while this one waited.
    if is_prepared(make_builder(name, root)):
      return
    scratch = root / f'.{key}.scratch'
    shutil.rmtree(scratch, ignore_errors=True)
    try:
      _run(builder, name, archives_folder(name, archives_dir), scratch)
    finally:
      shutil.rmtree(scratch, ignore_errors=True)


def _run(
    builder: tfds.core.DatasetBuilder,
    name: str,
    folder: str | None,
    scratch: pathlib.Path,
) -> None:
  if not sys.stderr.isatty():
    tfds.disable_progress_bar()
  manual_dir = None
  if folder is not None:
    manual_dir = scratch / 'archives'
    try:
      archives.restore(folder, manual_dir, name)
    except ValueError as error:
      raise DataError(str(error)) from error
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(
          manual_dir=manual_dir,
          # In scratch, since TFDS reuses extracted files of the same name.
          extract_dir=scratch / 'extracted',
          try_download_gcs=False,
          force_checksums_validation=bool(builder.url_infos),
      )
  )


def _no_way(
    builder: tfds.core.DatasetBuilder,
    name: str,
    archives_dir: str | os.PathLike[str] | None,
) -> str:
  debian = (
      f' or install dataset-fashion-mnist to {DEBIAN_ARCHIVES_DIR}'
      if name == 'fashion_mnist'
      else ''
  )
  return (
      f'dataset: {name} is not available: (1) it is not prepared in data_dir '
      f'{builder.data_dir_root}; (2) archives_dir {archives_dir or "(none)"} '
      f'does not hold its archives, put them there{debian}; (3) the download '
      'host does not answer.'
  )


@contextlib.contextmanager
def _one_line_errors(name: str) -> Iterator[None]:
  try:
    yield
  except DataError:
    raise
  except Exception as error:
    raise DataError(
        f'dataset: {name} could not be prepared: {errors.one_line(error)}.'
    ) from error
