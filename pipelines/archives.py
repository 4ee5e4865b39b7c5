"""Restores archives on disk to the exact bytes that TFDS expects.

Debian's package `dataset-fashion-mnist` holds the four archives of
Fashion-MNIST, but its build rewrote their gzip headers: the name is missing and
the time clamped. The compressed streams are unchanged, so restoring the header
yields upstream's file, as TFDS's recorded SHA-256 proves.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import pathlib
import shutil
import struct
import zlib
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from . import files


class _Upstream(NamedTuple):
  """Properties of upstream's archive that TFDS does not record."""

  time: int  # The time in the gzip header.
  unpacked_bytes: int  # The header of the IDX file and items of equal size.


_UPSTREAM = {
    'fashion_mnist': {
        'train-images-idx3-ubyte.gz': _Upstream(
            1504176606, 16 + 60_000 * 28 * 28
        ),
        'train-labels-idx1-ubyte.gz': _Upstream(1504176606, 8 + 60_000),
        't10k-images-idx3-ubyte.gz': _Upstream(
            1504176627, 16 + 10_000 * 28 * 28
        ),
        't10k-labels-idx1-ubyte.gz': _Upstream(1504176627, 8 + 10_000),
    }
}
# The gzip header may make an archive longer than upstream's by this much.
_MAX_HEADER_BYTES = 1 << 16
_EXTRA, _NAME, _COMMENT, _HEADER_CRC = 4, 8, 16, 2
_FIXED_HEADER_BYTES = 10
_BLOCK_BYTES = 1 << 20


def expected(dataset_name: str) -> dict[str, Any]:
  """Returns TFDS's record (size, checksum) of each archive by file name.

  Args:
    dataset_name: A name in TFDS, such as 'fashion_mnist'.

  Returns:
    A dict file name -> `tfds.core.download.checksums.UrlInfo`; empty if TFDS
    records no downloads or does not know the data set.

  Example:
    >>> from pipelines import archives
    >>> len(archives.expected('fashion_mnist'))
    4
  """
  name = dataset_name.split(':')[0].split('/')[0]
  try:
    infos = tfds.builder_cls(name).url_infos or {}
  except ValueError:  # TFDS does not know the data set.
    return {}
  return {
      info.filename or url.rsplit('/', 1)[-1]: info
      for url, info in infos.items()
  }


def missing(
    archives_dir: str | os.PathLike[str], dataset_name: str
) -> list[str]:
  """Returns the names of a data set's archives that a folder lacks.

  Args:
    archives_dir: The folder.
    dataset_name: A name in TFDS.

  Returns:
    File names; empty if the folder has all of them.
  """
  folder = pathlib.Path(archives_dir).expanduser()
  return [
      name for name in expected(dataset_name) if not (folder / name).is_file()
  ]


def restore(
    archives_dir: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    dataset_name: str,
) -> None:
  """Copies a data set's archives, restoring upstream's gzip headers.

  Args:
    archives_dir: The folder with the archives under upstream's names.
    destination: The folder to copy to, created if necessary.
    dataset_name: A name in TFDS, such as 'fashion_mnist'.

  Raises:
    ValueError: If an archive is missing, truncated, or does not have the size
      and SHA-256 that TFDS records. No more of it is read or unpacked than
      upstream's archive has.
  """
  source = pathlib.Path(archives_dir).expanduser()
  target = pathlib.Path(destination).expanduser()
  infos = expected(dataset_name)
  if not infos:
    raise ValueError(
        f'archives_dir: TFDS records no downloads for {dataset_name!r}; '
        'prepare the data set with TFDS and pass its folder as data_dir.'
    )
  if lacking := missing(source, dataset_name):
    raise ValueError(
        f'archives_dir: {source} lacks {", ".join(lacking)} of '
        f'{dataset_name}; put the missing archives there.'
    )
  target.mkdir(parents=True, exist_ok=True)
  known = _UPSTREAM.get(dataset_name, {})
  for name, info in infos.items():
    path, upstream = source / name, known.get(name)
    size = path.stat().st_size
    if size == info.size and files.sha256(path) == info.checksum:
      shutil.copyfile(path, target / name)
      continue
    if upstream is None or size > info.size + _MAX_HEADER_BYTES:
      raise ValueError(_of_other_size(path, dataset_name, info.size))
    restored = _with_header(
        path.read_bytes(), name.removesuffix('.gz'), upstream.time
    )
    if hashlib.sha256(restored).hexdigest() != info.checksum:
      raise ValueError(_diagnosis(path, dataset_name, info.size, upstream))
    (target / name).write_bytes(restored)


def _header_size(data: bytes) -> int:
  """Returns the length of a gzip header (RFC 1952, section 2.3)."""
  flags, position = data[3], _FIXED_HEADER_BYTES
  if flags & _EXTRA:
    position += 2 + struct.unpack_from('<H', data, position)[0]
  for flag in (_NAME, _COMMENT):
    if flags & flag:
      position = data.index(b'\0', position) + 1
  return position + (2 if flags & _HEADER_CRC else 0)


def _with_header(data: bytes, name: str, time: int) -> bytes:
  """Returns a gzip file with the header that `gzip` would write."""
  try:
    size = _header_size(data)
  except (IndexError, ValueError, struct.error):  # Not a gzip header.
    return data
  fixed = data[:3] + struct.pack('<BI', _NAME, time) + data[8:10]
  return fixed + name.encode() + b'\0' + data[size:]


def _diagnosis(
    path: pathlib.Path, dataset_name: str, size: int, upstream: _Upstream
) -> str:
  remedy = f'; replace it with the archive of {dataset_name}.'
  unpacked = 0
  try:
    with gzip.open(path) as file:
      # Never unpack more than upstream's archive has.
      while unpacked <= upstream.unpacked_bytes:
        block = file.read(_BLOCK_BYTES)
        unpacked += len(block)
        if not block:
          break
    truncated = path.stat().st_size == 0
  except EOFError:
    truncated = True
  except (OSError, zlib.error):
    return f'archives_dir: {path} is damaged or not a gzip file{remedy}'
  if truncated:
    return _truncated(path, dataset_name, size)
  if unpacked > upstream.unpacked_bytes:
    return (
        f'archives_dir: {path} unpacks to more than the '
        f"{upstream.unpacked_bytes:,} bytes of upstream's{remedy}"
    )
  return (
      f'archives_dir: {path} is intact but of another data set or version: its '
      f'SHA-256 is not the one that TFDS records{remedy}'
  )


def _of_other_size(path: pathlib.Path, dataset_name: str, size: int) -> str:
  given = path.stat().st_size
  if given < size:
    return _truncated(path, dataset_name, size)
  return (
      f'archives_dir: {path} is of another data set or version: it has {given} '
      f'bytes, upstream {size}, or its SHA-256 is not the one that TFDS '
      f'records; replace it with the archive of {dataset_name}.'
  )


def _truncated(path: pathlib.Path, dataset_name: str, size: int) -> str:
  return (
      f'archives_dir: {path} is truncated ({path.stat().st_size} bytes, '
      f'upstream has {size}); replace it with the archive of {dataset_name}.'
  )
