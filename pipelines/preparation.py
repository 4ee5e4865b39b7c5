"""Finds the way by which a set can be had, and prepares it."""

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
# What a proxy says when it can not or will not reach the host.
_GATEWAY_ERRORS = (407, 502, 503, 504)


DataError = errors.DataError


def make_builder(
    name: str, data_dir: str | os.PathLike[str] | None
) -> tfds.core.DatasetBuilder:
  """Returns TFDS's builder of a set that it knows or that is prepared.

  Args:
    name: A name of TFDS, `set`, `set/config` or with `:version`.
    data_dir: The folder of prepared sets; None means TFDS's default.

  Returns:
    The builder.

  Raises:
    DataError: If there is no such set (similar names are given), or its files
      are damaged or would have TFDS import what is not its own.
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
  with contextlib.suppress(StopIteration):  # No such folder.
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
  """Returns whether a set is there; TFDS renames it into place when whole.

  Args:
    builder: The builder of the set.

  Returns:
    Whether it can be read.
  """
  # TFDS warns of a folder that is not there.
  return builder.data_path.exists() and builder.is_prepared()


def archives_folder(
    name: str, archives_dir: str | os.PathLike[str] | None
) -> str | None:
  """Returns the folder that holds archives of a set, or None.

  A folder given by the user counts if it holds any of the archives, so that
  those missing are named rather than downloaded behind the user's back.

  Args:
    name: A name of TFDS, or of a set prepared there.
    archives_dir: A folder of archives; None means Debian's, for the set that
      it has.

  Returns:
    The path of the folder.
  """
  if archives_dir is not None:
    folder = os.path.expanduser(archives_dir)
    lacking = archives.missing(folder, name)
    return folder if len(lacking) < len(archives.expected(name)) else None
  # The file names are those of MNIST and others too: only this set's folder.
  if name != 'fashion_mnist' or archives.missing(DEBIAN_ARCHIVES_DIR, name):
    return None
  return DEBIAN_ARCHIVES_DIR


def find_route(
    builder: tfds.core.DatasetBuilder,
    name: str,
    archives_dir: str | os.PathLike[str] | None,
) -> str | None:
  """Finds what would serve a set.

  Args:
    builder: The builder of the set.
    name: A name of TFDS, or of a set prepared there.
    archives_dir: A folder of archives; None means Debian's, for the set that
      it has.

  Returns:
    'prepared', 'archives', 'download' or None.
  """
  if is_prepared(builder):
    return 'prepared'
  if archives_folder(name, archives_dir):
    return 'archives'
  return 'download' if _downloads_answer(builder) else None


def _downloads_answer(builder: tfds.core.DatasetBuilder) -> bool:
  """Says within 5 s whether the host of the first download answers."""
  urls = [url for url in builder.url_infos or {} if url.startswith('http')]
  if not urls:  # Made by code, or at addresses that TFDS does not record.
    return True
  answers: list[int] = []

  def ask() -> None:
    with contextlib.suppress(requests.RequestException):
      answers.append(
          requests.head(urls[0], timeout=_ANSWER_TIMEOUT_S).status_code
      )

  # Looking the name up has no timeout of its own, hence the thread.
  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  thread.join(_ANSWER_TIMEOUT_S)
  return bool(answers) and answers[0] not in _GATEWAY_ERRORS


def prepare(
    builder: tfds.core.DatasetBuilder,
    name: str,
    archives_dir: str | os.PathLike[str] | None,
) -> None:
  """Prepares a set by the first way that serves, unless it is prepared.

  One process prepares while others wait; TFDS writes to a folder of another
  name and renames it, so that a killed process leaves nothing that could be
  taken for the set.

  Args:
    builder: A builder made by `make_builder`.
    name: The name that it was made with.
    archives_dir: The folder of archives that the user gave, or None.

  Raises:
    DataError: If no way serves or the preparation fails.
  """
  root = pathlib.Path(str(builder.data_dir_root))
  if is_prepared(builder):
    return
  if not files.is_local(str(builder.data_dir_root)):
    raise DataError(
        f'data_dir: {name} is not prepared in {root}, and sets are prepared '
        'on mounted file systems only; prepare it there and copy it.'
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
          # TFDS reuses what an earlier set of the same file names left here.
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
      f'dataset: {name} can not be had: (1) it is not prepared in data_dir '
      f'{builder.data_dir_root}; (2) archives_dir {archives_dir or "(none)"} '
      f'does not hold its archives, put them there{debian}; (3) the download '
      'host does not answer.'
  )


@contextlib.contextmanager
def _one_line_errors(name: str) -> Iterator[None]:
  """Turns what TFDS and the file system raise into a DataError."""
  try:
    yield
  except DataError:
    raise
  except Exception as error:
    raise DataError(
        f'dataset: {name} could not be prepared: {errors.one_line(error)}.'
    ) from error
