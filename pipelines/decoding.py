"""Decodes a split once and keeps it on disk beside the prepared set."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from . import examples, files, records

# Part of every key: raise it when decoding or the layout changes.
_VERSION = 1
_BATCH_SIZE = 256
_READ_BYTES = 8 << 20


def cache(
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_shape: tuple[int, int, int],
    image_size: tuple[int, int] | None,
) -> pathlib.Path | None:
  """Decodes a whole split to disk, unless that was done before.

  The cache lies in the prepared set's own folder, so that it goes when the
  set does, and its name holds a fingerprint of the prepared files.

  Args:
    builder: The builder of the prepared set.
    split: The name of one of TFDS's splits.
    image_shape: (H, W, C) of the decoded, resized images.
    image_size: The (H, W) to resize to, or None.

  Returns:
    A folder of `images.npy` and `labels.npy`, in the order of TFDS; None where
    it can not be written, or would fill more than half of the free disk.
  """
  if not files.is_local(builder.data_dir):
    return None
  folder = pathlib.Path(builder.data_dir) / '.decoded'
  target = folder / f'{split}-{_fingerprint(builder, image_size)}'
  shape = (builder.info.splits[split].num_examples, *image_shape)
  if _read(target, shape):
    return target
  try:
    with files.lock(folder / '.lock'):
      if _read(target, shape):  # Another process may have been first.
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
) -> examples.Examples:
  """Returns a whole split in memory, from the cache where there can be one.

  Args:
    builder: The builder of the prepared set.
    split: The name of one of TFDS's splits.
    image_shape: (H, W, C) of the decoded, resized images.
    image_size: The (H, W) to resize to, or None.

  Returns:
    The examples in the order of TFDS.
  """
  shape = (builder.info.splits[split].num_examples, *image_shape)
  folder = cache(builder, split, image_shape, image_size)
  if folder and (found := _read(folder, shape)):
    return found
  images = np.empty(shape, np.uint8)
  labels = np.empty(shape[:1], np.int64)
  position = 0
  for some_images, some_labels in _decode(builder, split, image_size):
    end = position + len(some_labels)
    images[position:end], labels[position:end] = some_images, some_labels
    position = end
  return examples.Examples(images, labels)


def stream(folder: pathlib.Path, start: int, stop: int) -> tf.data.Dataset:
  """Reads a part of a cache from disk, in order, without holding it.

  Args:
    folder: What `cache` returned.
    start: The first example.
    stop: The one after the last.

  Returns:
    A dataset of dicts: `image`, the bytes of the pixels, and `label` [].
  """
  images = np.load(folder / 'images.npy', mmap_mode='r')
  labels = np.load(folder / 'labels.npy')[start:stop]
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
  })


def release(array: np.ndarray) -> None:
  """Lets go of the pages of a cache's file that have been read so far.

  They count as the process' memory otherwise. Who reads the array again reads
  the file again.

  Args:
    array: The images of a cache, or a part of them; others are left alone.
  """
  owner: Any = array
  while isinstance(owner, np.ndarray):
    owner = owner.base
  if isinstance(owner, mmap.mmap) and hasattr(mmap, 'MADV_DONTNEED'):
    owner.madvise(mmap.MADV_DONTNEED)


def _fingerprint(
    builder: tfds.core.DatasetBuilder, image_size: tuple[int, int] | None
) -> str:
  """Returns a digest that changes when the set is prepared again."""
  entries = sorted(
      (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
      for entry in os.scandir(builder.data_dir)
      if entry.is_file()
  )
  text = repr((_VERSION, image_size, entries))
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(
    cache: pathlib.Path, shape: tuple[int, ...]
) -> examples.Examples | None:
  try:
    images = np.load(cache / 'images.npy', mmap_mode='r')
    labels = np.load(cache / 'labels.npy')
  except (OSError, ValueError, EOFError):  # Absent, or cut short by a crash.
    return None
  if images.shape != shape or labels.shape != shape[:1]:
    return None
  return examples.Examples(images, labels)


def _write(
    target: pathlib.Path,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    shape: tuple[int, ...],
) -> None:
  """Writes a cache in one rename; the caller holds the lock."""
  unfinished = target.with_name('unfinished')
  for folder in (unfinished, target):
    if folder.exists():
      shutil.rmtree(folder)
  unfinished.mkdir()
  header = {'descr': '|u1', 'fortran_order': False, 'shape': shape}
  labels = []
  with open(unfinished / 'images.npy', 'wb') as file:
    np.lib.format.write_array_header_1_0(file, header)
    for some_images, some_labels in batches:
      file.write(some_images.tobytes())
      labels.append(some_labels)
  np.save(unfinished / 'labels.npy', np.concatenate(labels))
  unfinished.rename(target)


def _decode(
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_size: tuple[int, int] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Decodes a split, batch by batch: images uint8, labels int64."""

  def decode(example):
    image = records.decode(builder, example['image'], image_size)
    return image, tf.cast(example['label'], tf.int64)

  dataset = records.encoded(builder, split).map(
      decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  batches = dataset.batch(_BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
  return batches.as_numpy_iterator()
