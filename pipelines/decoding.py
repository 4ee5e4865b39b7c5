"""Decodes a split once and keeps it on disk beside the prepared set."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from . import examples, files, records

# Part of every key: raise it when decoding or the layout changes.
_VERSION = 1
_BATCH_SIZE = 256


def decoded(
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_shape: tuple[int, int, int],
    image_size: tuple[int, int] | None,
) -> examples.Examples:
  """Returns a whole split in memory, from the cache where there is one.

  The cache lies in the prepared set's own folder, so that it goes when the
  set does, and its name holds a fingerprint of the prepared files. Where it
  can not be written, the split is decoded each time.

  Args:
    builder: The builder of the prepared set.
    split: The name of one of TFDS's splits.
    image_shape: (H, W, C) of the decoded, resized images.
    image_size: The (H, W) to resize to, or None.

  Returns:
    The examples in the order of TFDS.
  """
  if not files.is_local(builder.data_dir):
    return _decode(builder, split, image_shape, image_size)
  folder = pathlib.Path(builder.data_dir) / '.decoded'
  cache = folder / f'{split}-{_fingerprint(builder, image_size)}'
  num_examples = builder.info.splits[split].num_examples
  shape = (num_examples, *image_shape)
  if found := _read(cache, shape):
    return found
  try:
    with files.lock(folder / '.lock'):
      found = _read(cache, shape)  # Another process may have been first.
      if found is None:
        found = _decode(builder, split, image_shape, image_size)
        _write(cache, found)
      return found
  except OSError:
    return found or _decode(builder, split, image_shape, image_size)


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


def _write(cache: pathlib.Path, data: examples.Examples) -> None:
  """Writes a cache in one rename; the caller holds the lock."""
  unfinished = cache.with_name('unfinished')
  for folder in (unfinished, cache):
    if folder.exists():
      shutil.rmtree(folder)
  unfinished.mkdir()
  np.save(unfinished / 'images.npy', data.images)
  np.save(unfinished / 'labels.npy', data.labels)
  unfinished.rename(cache)


def _decode(
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_shape: tuple[int, int, int],
    image_size: tuple[int, int] | None,
) -> examples.Examples:
  def decode(example):
    image = records.decode(builder, example['image'], image_size)
    return image, tf.cast(example['label'], tf.int64)

  dataset = records.encoded(builder, split).map(
      decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  num_examples = builder.info.splits[split].num_examples
  images = np.empty([num_examples, *image_shape], np.uint8)
  labels = np.empty([num_examples], np.int64)
  position = 0
  batches = dataset.batch(_BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
  for some_images, some_labels in batches.as_numpy_iterator():
    end = position + len(some_labels)
    images[position:end], labels[position:end] = some_images, some_labels
    position = end
  return examples.Examples(images, labels)
