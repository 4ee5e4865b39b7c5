"""Decodes a split once and keeps it on disk next to the prepared data set."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from . import autograph, diagnosis, errors, files, records

# Part of every key; increase it when decoding or the layout changes.
_VERSION = 2
_BATCH_SIZE = 256
_READ_BYTES = 8 << 20
_ARRAYS = ('images', 'labels', 'fingerprints')
# The checksums of the files of arrays, in the format of `sha256sum --check`.
_STAMP = 'SHA256'
_NUM_FINGERPRINTS = 2**63 - 1


class Decoded(NamedTuple):
  """A decoded split in TFDS's order.

  Attributes:
    images: uint8 ``[num_examples, H, W, C]``; may be a read-only memory map.
    labels: int64 ``[num_examples]``.
  """

  images: np.ndarray
  labels: np.ndarray


def cache(
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_shape: tuple[int, int, int],
    image_size: tuple[int, int] | None,
    *,
    tell: Callable[[str], None] = lambda note: None,
    is_streamed: bool = False,
) -> pathlib.Path | None:
  """Decodes a whole split to disk, unless it is cached already.

  The cache is stored in the folder of the prepared data set, so it is deleted
  with it, and its name includes a fingerprint of the prepared files. If its
  checksums do not match, it is decoded again.

  Args:
    builder: The builder of the prepared data set.
    split: The name of a TFDS split.
    image_shape: (H, W, C) of the decoded, resized images.
    image_size: The (H, W) to resize to, or None.
    tell: A function that is called with a message if damage is found.
    is_streamed: Whether images are read by `stream`, which checks each image as
      it is read. Otherwise, all are checked here.

  Returns:
    A folder with `images.npy` and `labels.npy` in TFDS's order, or None if it
    cannot be written or would fill more than half of the free disk space.

  Raises:
    DataError: If an example is damaged.
  """
  if not files.is_local(builder.data_dir):
    return None
  folder = pathlib.Path(builder.data_dir) / '.decoded'
  target = folder / f'{split}-{_fingerprint(builder, image_size)}'
  shape = (builder.info.splits[split].num_examples, *image_shape)
  if _is_whole(target, shape, is_streamed):
    return target
  if target.exists():
    tell(
        f'{target}: the decoded images do not match their checksums and are '
        'decoded again.'
    )
  try:
    with files.lock(folder / '.lock'):
      # Another process may have been first.
      if _is_whole(target, shape, is_streamed):
        return target
      if shutil.disk_usage(folder).free < 2 * math.prod(shape):
        return None
      _write(target, _decode(builder, split, image_size), shape)
      return target
  except OSError:
    return None


def decoded(
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_shape: tuple[int, int, int],
    image_size: tuple[int, int] | None,
    *,
    tell: Callable[[str], None] = lambda note: None,
) -> Decoded:
  """Returns a whole split in memory, from the cache if possible.

  Args:
    builder: The builder of the prepared data set.
    split: The name of a TFDS split.
    image_shape: (H, W, C) of the decoded, resized images.
    image_size: The (H, W) to resize to, or None.
    tell: A function that is called with a message if damage is found.

  Returns:
    The examples in TFDS's order.

  Raises:
    DataError: If an example is damaged.
  """
  shape = (builder.info.splits[split].num_examples, *image_shape)
  folder = cache(builder, split, image_shape, image_size, tell=tell)
  if folder and (found := _read(folder, shape)):
    return found
  images = np.empty(shape, np.uint8)
  labels = np.empty(shape[:1], np.int64)
  position = 0
  for some_images, some_labels in _decode(builder, split, image_size):
    end = position + len(some_labels)
    images[position:end], labels[position:end] = some_images, some_labels
    position = end
  return Decoded(images, labels)


def stream(folder: pathlib.Path, start: int, stop: int) -> tf.data.Dataset:
  """Reads part of a cache from disk in order, without keeping it in memory.

  Args:
    folder: The folder returned by `cache`.
    start: The index of the first example.
    stop: The index after the last example.

  Returns:
    A dataset of dicts: `image`, the bytes of the pixels, `label` [], and
    `fingerprint` [], which is that of the image if it is intact.
  """
  images = np.load(folder / 'images.npy', mmap_mode='r', allow_pickle=False)
  labels = np.load(folder / 'labels.npy', allow_pickle=False)[start:stop]
  expected = np.load(folder / 'fingerprints.npy', allow_pickle=False)
  expected = expected[start:stop]
  record_bytes = math.prod(images.shape[1:])
  return tf.data.Dataset.zip({
      'image': tf.data.FixedLengthRecordDataset(
          [str(folder / 'images.npy')],
          record_bytes,
          header_bytes=images.offset + start * record_bytes,
          footer_bytes=(len(images) - stop) * record_bytes,
          buffer_size=_READ_BYTES,
      ),
      'label': tf.data.Dataset.from_tensor_slices(labels),
      'fingerprint': tf.data.Dataset.from_tensor_slices(expected),
  })


def fingerprints(images: tf.Tensor) -> tf.Tensor:
  """Returns fast hashes of images, to detect damage.

  Args:
    images: The bytes of the pixels, strings ``[batch_size]``.

  Returns:
    int64 ``[batch_size]``.
  """
  return tf.strings.to_hash_bucket_fast(images, _NUM_FINGERPRINTS)


def find_damage(folder: pathlib.Path) -> errors.DataError | None:
  """Finds the first image in a cache that does not match its fingerprint.

  If there is one, the cache is invalidated, so the next start decodes again.

  Args:
    folder: The folder returned by `cache`.

  Returns:
    An error that names the image, or None if all match.
  """
  try:
    expected = np.load(folder / 'fingerprints.npy', allow_pickle=False)
    images = np.load(folder / 'images.npy', mmap_mode='r', allow_pickle=False)
    found = (
        fingerprints(tf.constant([image.tobytes() for image in some]))
        for some in _in_batches(images)
    )
    wrong = np.flatnonzero(np.concatenate(list(found)) != expected)
  except (OSError, ValueError, EOFError) as error:
    return errors.DataError(
        f'dataset: the decoded images in {folder} cannot be read: '
        f'{errors.one_line(error)}; run the same command again to decode them.'
    )
  if not wrong.size:
    return None
  remedy = 'run the same command again to decode them and continue'
  try:
    (folder / _STAMP).unlink(missing_ok=True)
  except OSError:
    remedy = 'remove the folder to have them decoded again'
  return errors.DataError(
      f'dataset: example {wrong[0]} of the decoded images in {folder} does '
      f'not match its checksum; {remedy}.'
  )


def release(array: np.ndarray) -> None:
  """Releases the pages of a cache's file that have been read so far.

  Otherwise they count as memory of the process. They are read again if needed.

  Args:
    array: The images of a cache, or a part of them; others are ignored.
  """
  owner: Any = array
  while isinstance(owner, np.ndarray):
    owner = owner.base
  if isinstance(owner, mmap.mmap) and hasattr(mmap, 'MADV_DONTNEED'):
    owner.madvise(mmap.MADV_DONTNEED)


def _fingerprint(
    builder: tfds.core.DatasetBuilder, image_size: tuple[int, int] | None
) -> str:
  """Returns a digest that changes when the data set is prepared again."""
  entries = sorted(
      (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
      for entry in os.scandir(builder.data_dir)
      if entry.is_file()
  )
  text = repr((_VERSION, image_size, entries))
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(cache: pathlib.Path, shape: tuple[int, ...]) -> Decoded | None:
  try:
    images = np.load(cache / 'images.npy', mmap_mode='r', allow_pickle=False)
    labels = np.load(cache / 'labels.npy', allow_pickle=False)
  except (OSError, ValueError, EOFError):  # Missing, or truncated by a crash.
    return None
  if images.shape != shape or labels.shape != shape[:1]:
    return None
  return Decoded(images, labels)


def _is_whole(
    cache: pathlib.Path, shape: tuple[int, ...], is_streamed: bool
) -> bool:
  if _read(cache, shape) is None:
    return False
  try:
    stamp = (cache / _STAMP).read_text().splitlines()
    return len(stamp) == len(_ARRAYS) and all(
        _checksum(cache, name) in stamp
        for name in _ARRAYS
        if not (is_streamed and name == 'images')
    )
  except (OSError, ValueError):
    return False


def _checksum(cache: pathlib.Path, name: str) -> str:
  return f'{files.sha256(cache / f"{name}.npy")}  {name}.npy'


def _write(
    target: pathlib.Path,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    shape: tuple[int, ...],
) -> None:
  """Writes a cache with an atomic rename; the caller holds the lock."""
  unfinished = target.with_name('unfinished')
  for folder in (unfinished, target):
    if folder.exists():
      shutil.rmtree(folder)
  unfinished.mkdir()
  try:
    _write_arrays(unfinished, batches, shape)
    unfinished.rename(target)
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)


def _write_arrays(
    folder: pathlib.Path,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    shape: tuple[int, ...],
) -> None:
  header = {'descr': '|u1', 'fortran_order': False, 'shape': shape}
  labels, expected = [], []
  with open(folder / 'images.npy', 'wb') as opened:
    file = _Hashed(opened)
    np.lib.format.write_array_header_1_0(file, header)
    for some_images, some_labels in batches:
      file.write(some_images.tobytes())
      labels.append(some_labels)
      expected.append(
          fingerprints(tf.constant([image.tobytes() for image in some_images]))
      )
  np.save(folder / 'labels.npy', np.concatenate(labels))
  np.save(folder / 'fingerprints.npy', np.concatenate(expected))
  lines = [f'{file.digest.hexdigest()}  images.npy']
  lines += [_checksum(folder, name) for name in _ARRAYS if name != 'images']
  (folder / _STAMP).write_text('\n'.join(lines) + '\n')


class _Hashed:
  """A file that computes its SHA-256 while it is written."""

  def __init__(self, file: BinaryIO):
    self._file = file
    self.digest = hashlib.sha256()

  def write(self, data: bytes) -> int:
    self.digest.update(data)
    return self._file.write(data)


def _in_batches(images: np.ndarray) -> Iterator[np.ndarray]:
  for start in range(0, len(images), _BATCH_SIZE):
    yield images[start : start + _BATCH_SIZE]


def _decode(
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_size: tuple[int, int] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Decodes a split in batches: images uint8, labels int64.

  Raises:
    DataError: If an example is damaged, or a file holds another number of
      examples than the data set declares.
  """

  @autograph.off
  def decode(example: Any) -> Any:
    image = records.decode(builder, example['image'], image_size)
    return image, tf.cast(example['label'], tf.int64)

  dataset = records.encoded(builder, split).map(
      decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  batches = dataset.batch(_BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
  try:
    yield from batches.as_numpy_iterator()
  except Exception as error:
    explanation = diagnosis.explained(error, builder, split, image_size)
    if explanation is error:
      raise
    raise explanation from error
  # TFDS checks only the sum of the lengths of the files.
  has_files = len(builder.info.splits[split].shard_lengths) > 1
  if has_files and (
      wrong := diagnosis.find_file(builder, split, reads_all=False)
  ):
    raise wrong
