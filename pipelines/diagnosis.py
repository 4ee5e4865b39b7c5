"""Finds the example that a prepared split cannot be read or decoded at.

TensorFlow's errors name neither the split nor the file nor the example. What
went wrong is looked for only once something did, so that nobody waits for it
who has a whole set.
"""

from __future__ import annotations

import itertools
import os
import struct
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from . import autograph, errors, records

# Errors of the machine, the other workers or the program, not of data.
_NOT_OF_DATA = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
)
# A record's length and the checksums of it and of the record.
_FRAME_BYTES = 8 + 4 + 4


def explained(
    error: Exception,
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_size: tuple[int, int] | None,
) -> Exception:
  """Returns the error to raise for one that reading a split has raised.

  Args:
    error: The error.
    builder: The builder of the prepared set.
    split: The name of one of TFDS's splits.
    image_size: The (H, W) that images are resized to, or None.

  Returns:
    A DataError that names split, file and example; `error` itself if it is
    one of the machine and not of data.
  """
  if not is_of_data(error):
    return error
  found = find(builder, split, image_size)
  return found or errors.DataError(
      f'dataset: {_name(builder, split)} cannot be read: '
      f'{errors.one_line(error)}{remedy(split)}'
  )


def is_of_data(error: Exception) -> bool:
  """Returns whether an error may come from what was read.

  Args:
    error: The error.

  Returns:
    False for what is the machine's, such as too little memory.
  """
  # TensorFlow cannot tell its reason where that is no UTF-8.
  kinds = (tf.errors.OpError, UnicodeDecodeError)
  return isinstance(error, kinds) and not isinstance(error, _NOT_OF_DATA)


def find(
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_size: tuple[int, int] | None,
    num_classes: int | None = None,
) -> errors.DataError | None:
  """Reads a split in order, up to the first example that is damaged.

  Args:
    builder: The builder of the prepared set.
    split: The name of one of TFDS's splits.
    image_size: The (H, W) that images are resized to, or None.
    num_classes: If given, labels are looked at too.

  Returns:
    The error that names the example and its file; None if all are whole.
  """
  if wrong := find_file(builder, split):
    return wrong

  @autograph.off
  def decode(example):
    image = records.decode(builder, example['image'], image_size)
    return image, tf.cast(example['label'], tf.int64)

  position = 0
  try:
    examples = records.encoded(builder, split).map(
        decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    for position, (_, label) in enumerate(examples.as_numpy_iterator()):
      if num_classes is not None and not 0 <= label < num_classes:
        return bad_label(builder, split, position, label, num_classes)
      position += 1
  except Exception as error:
    if not is_of_data(error):
      return None
    return errors.DataError(
        f'dataset: {place(builder, split, position)} cannot be decoded: '
        f'{errors.one_line(error)}{remedy(split)}'
    )
  return None


def find_file(
    builder: tfds.core.DatasetBuilder, split: str, *, reads_all: bool = True
) -> errors.DataError | None:
  """Looks for the first of a split's files that is not what the set says.

  Args:
    builder: The builder of the prepared set.
    split: The name of one of TFDS's splits.
    reads_all: Whether to read the records. If not, they are only counted.

  Returns:
    The error that names the file; None if all are whole and of the length
    that dataset_info.json says, or of another format than TFRecord.
  """
  if builder.info.file_format.value != 'tfrecord':
    return None
  info = builder.info.splits[split]
  for path, length in zip(
      info.filepaths, info.shard_lengths, strict=True
  ):
    if wrong := _wrong_file(path, length, reads_all):
      return errors.DataError(
          f'dataset: {_name(builder, split)}: {wrong}{remedy(split)}'
      )
  return None


def bad_label(
    builder: tfds.core.DatasetBuilder,
    split: str,
    index: int,
    label: int,
    num_classes: int,
) -> errors.DataError:
  """Returns the error of a label outside [0, num_classes).

  Args:
    builder: The builder of the prepared set.
    split: The name of one of TFDS's splits.
    index: The example, counted from the start of the split.
    label: Its label.
    num_classes: The number of classes.

  Returns:
    The error, to be raised.
  """
  none = ", TFDS's mark for an example without one" if label == -1 else ''
  return errors.DataError(
      f'dataset: {place(builder, split, index)} has the label {label}{none}; '
      f'expected [0, {num_classes}){remedy(split)}'
  )


def place(
    builder: tfds.core.DatasetBuilder, split: str, index: int
) -> str:
  """Names an example: its set, split, position, file and record there.

  Args:
    builder: The builder of the prepared set.
    split: The name of one of TFDS's splits.
    index: The example, counted from the start of the split.

  Returns:
    The words for it.
  """
  info = builder.info.splits[split]
  stops = itertools.accumulate(info.shard_lengths)
  name = f'{_name(builder, split)}: example {index}'
  for path, length, stop in zip(
      info.filepaths, info.shard_lengths, stops, strict=True
  ):
    if index < stop:
      return f'{name} (record {index - stop + length} of {path})'
  return name


def remedy(split: str) -> str:
  """Returns what can be done about a damaged split, as an error's end.

  Args:
    split: The name of one of TFDS's splits.

  Returns:
    The words, from a semicolon to the full stop.
  """
  out = (
      f', or leave the split out with {split}_split=none'
      if split in ('validation', 'test')
      else ''
  )
  return f'; bring the set back from a copy or prepare it again{out}.'


def _name(builder: tfds.core.DatasetBuilder, split: str) -> str:
  return f'{builder.name}, split {split}'


def _wrong_file(path: Any, length: int, reads_all: bool) -> str | None:
  """Describes what is wrong with a file of records."""
  if not path.exists():
    return f'{path} is missing'
  num_records = 0
  try:
    if reads_all:
      for _ in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        num_records += 1
    else:
      num_records = _count(path)
  except tf.errors.OpError as error:
    reason = errors.one_line(error)
    return f'record {num_records} of {path} is damaged: {reason}'
  if num_records == length:
    return None
  return (
      f'{path} holds {num_records} whole records, but dataset_info.json says '
      f'{length}'
  )


def _count(path: Any) -> int:
  """Counts the whole records of a TFRecord file by their lengths alone."""
  num_records = position = 0
  with path.open('rb') as file:
    size = file.seek(0, os.SEEK_END)
    while position + _FRAME_BYTES <= size:
      file.seek(position)
      position += struct.unpack('<Q', file.read(8))[0] + _FRAME_BYTES
      num_records += position <= size
  return num_records
