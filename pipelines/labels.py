"""The labels of a data set: the classes, and whether any are missing."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from . import autograph, diagnosis, errors, parts, records

# Each class takes weights, a name and a row of the confusion matrix.
MAX_CLASSES = 100_000
# Integers up to this may be classes even if most of them are unused.
_FEW_CLASSES = 1_000
_MAX_IDS_PER_CLASS = 10
_BATCH_SIZE = 4096
# TFDS's value for a missing label.
_NONE = -1


def read(builder: tfds.core.DatasetBuilder, split: str) -> np.ndarray:
  """Reads the labels of a split without decoding images.

  Args:
    builder: The builder of a prepared data set with integer labels.
    split: The name of a TFDS split.

  Returns:
    int64 ``[num_examples]``.

  Raises:
    DataError: If the split cannot be read.
  """
  labels = records.encoded(builder, split).map(
      autograph.off(lambda example: tf.cast(example['label'], tf.int64))
  )
  try:
    found = list(labels.batch(_BATCH_SIZE).as_numpy_iterator())
  except Exception as error:
    raise diagnosis.explained(error, builder, split, None) from error
  return np.concatenate(found)


def check(
    builder: tfds.core.DatasetBuilder,
    part: parts.Part,
    labels: np.ndarray,
    num_classes: int,
) -> None:
  """Checks that labels lie in [0, num_classes).

  Args:
    builder: The builder of the prepared data set.
    part: The part of the data set that has the labels.
    labels: The labels of the part.
    num_classes: The number of classes.

  Raises:
    DataError: If a label does not; the first one is named.
  """
  wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
  if wrong.size:
    index = int(wrong[0])
    raise diagnosis.bad_label(
        builder, part.split, part.start + index, labels[index], num_classes
    )


def why_unlabelled(
    builder: tfds.core.DatasetBuilder, part: parts.Part, labels: np.ndarray
) -> str | None:
  """Returns the reason if a part cannot be scored for lack of labels.

  Args:
    builder: The builder of the prepared data set.
    part: The part of the data set that has the labels.
    labels: The labels of the part.

  Returns:
    The reason, or None if all examples have labels.

  Raises:
    DataError: If only some of the examples have labels.
  """
  none = np.flatnonzero(labels == _NONE)
  if none.size == labels.size:
    return (
        f"all {labels.size} labels are {_NONE}, TFDS's value for a missing "
        'label'
    )
  if none.size:
    where = diagnosis.place(builder, part.split, part.start + int(none[0]))
    raise errors.DataError(
        f'dataset: {where} has no label ({_NONE}), like {none.size} of '
        f'{labels.size} examples{diagnosis.remedy(part.split)}'
    )
  return None


def named_classes(builder: tfds.core.DatasetBuilder) -> list[str] | None:
  """Returns the names of the classes, if the data set declares them.

  Args:
    builder: The builder of the prepared data set.

  Returns:
    One name per class, or None if labels are plain integers.

  Raises:
    DataError: If there are no or too many classes, or the file of names does
      not have one per class.
  """
  label = builder.info.features['label']
  if not isinstance(label, tfds.features.ClassLabel):
    return None
  num_classes = label.num_classes or 0
  if not 0 < num_classes <= MAX_CLASSES:
    raise errors.DataError(
        f'dataset: {builder.name} declares {num_classes} classes; expected 1 '
        f'to {MAX_CLASSES:,}.'
    )
  path = builder.data_path / 'label.labels.txt'
  if not path.exists():
    return list(label.names)
  # TFDS silently ignores a file that it cannot read or that has other names.
  return _names(path, num_classes)


def _names(path: pathlib.Path, num_classes: int) -> list[str]:
  try:
    lines = path.read_text(encoding='utf-8').split('\n')
  except (OSError, ValueError) as error:
    raise errors.DataError(
        f'dataset: {path} cannot be read ({errors.one_line(error)}); restore it'
        ' from a backup or prepare the data set again.'
    ) from None
  names = [line.strip() for line in lines if line.strip()]
  if len(names) != num_classes or len(set(names)) != num_classes:
    raise errors.DataError(
        f'dataset: {path} holds {len(names)} names, {len(set(names))} of them '
        f'different, for {num_classes} classes; restore it from a backup or '
        'prepare the data set again.'
    )
  return names


def counted_classes(
    builder: tfds.core.DatasetBuilder, labels: Iterable[np.ndarray]
) -> list[str]:
  """Returns class names for plain integers, as `numbered_classes` does.

  Args:
    builder: The builder of the prepared data set.
    labels: The labels of each part.

  Returns:
    The numbers as names.
  """
  return numbered_classes(
      f'dataset: {builder.name}', labels, 'and prepare the data set again'
  )


def numbered_classes(
    what: str, labels: Iterable[np.ndarray], remedy: str
) -> list[str]:
  """Returns class names for integers, 0 to the largest.

  Args:
    what: The owner of the labels, for the message.
    labels: The labels of each split.
    remedy: A further remedy if there are too many classes, for the message.

  Returns:
    The numbers as names.

  Raises:
    DataError: If the largest integer exceeds both 1,000 and ten times the
      number of different ones, or 100,000.
  """
  ids = np.unique(np.concatenate([np.unique(some) for some in labels]))
  num_classes = max(int(ids[-1]) + 1, 0)
  bound = min(max(_FEW_CLASSES, _MAX_IDS_PER_CLASS * ids.size), MAX_CLASSES)
  if num_classes > bound:
    raise errors.DataError(
        f'{what} has {ids.size:,} different labels up to {ids[-1]:,}, which '
        f'would make {num_classes:,} classes; number the labels from 0 on, '
        f'without gaps, {MAX_CLASSES:,} at most, {remedy}.'
    )
  return [str(index) for index in range(num_classes)]
