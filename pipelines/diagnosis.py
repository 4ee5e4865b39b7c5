"""Finds the example at which reading or decoding a prepared split fails.

TensorFlow's errors name neither the split nor the file nor the example. The
search runs only after an error, so that intact data sets are not delayed.
"""

from __future__ import annotations

import itertools
import os
import struct
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from . import autograph, errors, records

# Errors of the machine, other workers or the program, not of the data.
_NOT_OF_DATA = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
)
# The length of a record, and the checksums of the length and the record.
_FRAME_BYTES = 8 + 4 + 4


def explained(
    error: Exception,
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_size: tuple[int, int] | None,
) -> Exception:
  """Returns the error to raise after an error in reading a split.

  Args:
    error: The error.
    builder: The builder of the prepared data set.
    split: The name of a TFDS split.
    image_size: The (H, W) that images are resized to, or None.

  Returns:
    A DataError that names the split, file and example, or `error` itself if it
    comes from the machine and not from the data.
  """
  if not is_of_data(error):
    return error
  found = find(builder, split, image_size)
  return found or errors.DataError(
      f'dataset: {_name(builder, split)} cannot be read: '
      f'{errors.one_line(error)}{remedy(split)}'
  )


def is_of_data(error: Exception) -> bool:
  """Returns whether an error may be caused by the data.

  Args:
    error: The error.

  Returns:
    False for errors of the machine, such as insufficient memory.
  """
  # TensorFlow raises UnicodeDecodeError if its message is not UTF-8.
  kinds = (tf.errors.OpError, UnicodeDecodeError)
  return isinstance(error, kinds) and not isinstance(error, _NOT_OF_DATA)


def find(
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_size: tuple[int, int] | None,
    num_classes: int | None = None,
) -> errors.DataError | None:
  """Reads a split in order up to the first damaged example.

  Args:
    builder: The builder of the prepared data set.
    split: The name of a TFDS split.
    image_size: The (H, W) that images are resized to, or None.
    num_classes: The number of classes, to also check labels. Default: labels
      are not checked.

  Returns:
    An error that names the example and its file, or None if all are intact.
  """
  if wrong := find_file(builder, split):
    return wrong

  @autograph.off
  def decode(example: Any) -> Any:
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
  """Finds the first file of a split that does not match the metadata.

  Args:
    builder: The builder of the prepared data set.
    split: The name of a TFDS split.
    reads_all: Whether to read the records or only count them.

  Returns:
    An error that names the file. None if all are intact and of the length given
    in dataset_info.json, or if the format is not TFRecord.
  """
  if builder.info.file_format.value != 'tfrecord':
    return None
  info = builder.info.splits[split]
  for path, length in zip(info.filepaths, info.shard_lengths, strict=True):
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
  """Returns the error for a label outside [0, num_classes).

  Args:
    builder: The builder of the prepared data set.
    split: The name of a TFDS split.
    index: The index of the example in the split.
    label: Its label.
    num_classes: The number of classes.

  Returns:
    The error to raise.
  """
  none = ", TFDS's value for a missing label" if label == -1 else ''
  return errors.DataError(
      f'dataset: {place(builder, split, index)} has the label {label}{none}; '
      f'expected [0, {num_classes}){remedy(split)}'
  )


def place(builder: tfds.core.DatasetBuilder, split: str, index: int) -> str:
  """Describes an example: its data set, split, position, file and record.

  Args:
    builder: The builder of the prepared data set.
    split: The name of a TFDS split.
    index: The index of the example in the split.

  Returns:
    The description.
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
  """Returns the end of an error message about a damaged split: what to do.

  Args:
    split: The name of a TFDS split.

  Returns:
    The text, from a semicolon to the full stop.
  """
  out = (
      f', or leave the split out with {split}_split=none'
      if split in ('validation', 'test')
      else ''
  )
  return f'; restore the data set from a backup or prepare it again{out}.'


def _name(builder: tfds.core.DatasetBuilder, split: str) -> str:
  return f'{builder.name}, split {split}'


def _wrong_file(path: Any, length: int, reads_all: bool) -> str | None:
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
      f'{path} holds {num_records} intact records, but dataset_info.json says '
      f'{length}'
  )


def _count(path: Any) -> int:
  """Counts the complete records in a TFRecord file by their lengths alone."""
  num_records = position = 0
  with path.open('rb') as file:
    size = file.seek(0, os.SEEK_END)
    while position + _FRAME_BYTES <= size:
      file.seek(position)
      position += struct.unpack('<Q', file.read(8))[0] + _FRAME_BYTES
      num_records += position <= size
  return num_records
