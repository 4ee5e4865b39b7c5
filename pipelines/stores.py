"""Opens prepared data sets in memory, from decoded files or from records."""

from __future__ import annotations

import functools
import os
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from . import (
    decoding,
    diagnosis,
    errors,
    files,
    in_memory,
    labels,
    parts,
    records,
    splits,
    streams,
)
from . import spec as spec_lib


class Store:
  """Opens parts of a prepared data set and reads labels, once per split.

  Attributes:
    builder: The builder of the data set.
    is_resident: Whether parts are held in memory.
    notes: Messages for the user.
  """

  def __init__(
      self,
      builder: tfds.core.DatasetBuilder,
      image_shape: tuple[int, int, int],
      image_size: tuple[int, int] | None,
      *,
      is_resident: bool,
  ):
    """Creates a store, without reading anything yet.

    Args:
      builder: The builder of the prepared data set.
      image_shape: (H, W, C) of the decoded, resized images.
      image_size: The (H, W) to resize to, or None.
      is_resident: Whether to hold parts in memory.
    """
    self.builder = builder
    self.is_resident = is_resident
    self.notes: list[str] = []
    self._image_shape = image_shape
    self._image_size = image_size
    self._decoded: dict[str, decoding.Decoded] = {}
    self._folders: dict[str, pathlib.Path | None] = {}
    self._labels: dict[str, np.ndarray] = {}

  def labels(self, part: parts.Part) -> np.ndarray:
    """Returns the labels of a part, int64 ``[num_examples]``.

    Raises:
      DataError: If its split is damaged.
    """
    split = part.split
    if split not in self._labels:
      if self.is_resident:
        self._labels[split] = self._whole(split).labels
      elif folder := self._folder(split):
        self._labels[split] = np.load(folder / 'labels.npy', allow_pickle=False)
      else:
        self._labels[split] = labels.read(self.builder, split)
    return self._labels[split][part.start : part.stop]

  def open(self, part: parts.Part, spec: spec_lib.Spec) -> splits.Split:
    """Returns the examples of a part, with an image and a class as the label.

    Raises:
      DataError: If its split is damaged, or a label is not in [0, num_classes).
        Records that are decoded while streaming are checked then.
    """
    num_classes = spec[spec_lib.LABEL].num_classes
    if self.is_resident or self._folder(part.split):
      labels.check(self.builder, part, self.labels(part), num_classes)
    if self.is_resident:
      images = self._whole(part.split).images[part.start : part.stop]
      return in_memory.InMemorySplit(
          {spec_lib.IMAGE: images, spec_lib.LABEL: self.labels(part)}, spec
      )
    if folder := self._folder(part.split):
      return self._stream(folder, part, spec)
    self._check_files(part.split)
    if part.split in self._labels:
      labels.check(self.builder, part, self.labels(part), num_classes)
    return self._records(part, spec)

  def _whole(self, split: str) -> decoding.Decoded:
    if split not in self._decoded:
      self._decoded[split] = decoding.decoded(
          self.builder,
          split,
          self._image_shape,
          self._image_size,
          tell=self.notes.append,
      )
    return self._decoded[split]

  def _folder(self, split: str) -> pathlib.Path | None:
    if split not in self._folders:
      self._folders[split] = decoding.cache(
          self.builder,
          split,
          self._image_shape,
          self._image_size,
          tell=self.notes.append,
          is_streamed=True,
      )
    return self._folders[split]

  def _stream(
      self, folder: pathlib.Path, part: parts.Part, spec: spec_lib.Spec
  ) -> streams.Streamed:
    def decode(keys: dict[str, Any]) -> dict[str, tf.Tensor]:
      images = keys['image']
      whole = tf.reduce_all(
          decoding.fingerprints(images) == keys['fingerprint']
      )
      with tf.control_dependencies([tf.debugging.Assert(whole, [folder.name])]):
        pixels = tf.io.decode_raw(images, tf.uint8)
      return _example(tf.reshape(pixels, [-1, *self._image_shape]), keys)

    return streams.Streamed(
        lambda: decoding.stream(folder, part.start, part.stop),
        decode,
        lambda error: decoding.find_damage(folder) or error,
        part.num_examples,
        spec,
        checksums=functools.partial(_checksums, self.builder, part),
    )

  def _records(self, part: parts.Part, spec: spec_lib.Spec) -> streams.Streamed:
    num_classes = spec[spec_lib.LABEL].num_classes

    def decode(keys: dict[str, Any]) -> dict[str, tf.Tensor]:
      given = tf.cast(keys['label'], tf.int64)
      valid = tf.reduce_all((given >= 0) & (given < num_classes))
      with tf.control_dependencies([tf.debugging.Assert(valid, [given])]):
        images = tf.identity(keys['image'])
      decoded = tf.map_fn(
          lambda image: records.decode(self.builder, image, self._image_size),
          images,
          fn_output_signature=tf.TensorSpec(self._image_shape, tf.uint8),
      )
      return _example(decoded, keys)

    return streams.Streamed(
        lambda: records.encoded(
            self.builder, f'{part.split}[{part.start}:{part.stop}]'
        ),
        decode,
        # If nothing is found, the error came from the step, not the data.
        lambda error: diagnosis.find(
            self.builder, part.split, self._image_size, num_classes
        )
        or error,
        part.num_examples,
        spec,
        checksums=functools.partial(_checksums, self.builder, part),
    )

  def _check_files(self, split: str) -> None:
    """Checks that the files of a split exist, without reading them."""
    if not files.is_local(self.builder.data_dir):
      return
    for path in self.builder.info.splits[split].filepaths:
      if not path.exists():
        raise errors.DataError(
            f'dataset: {self.builder.name}, split {split}: {path} is missing'
            f'{diagnosis.remedy(split)}'
        )


def _checksums(
    builder: tfds.core.DatasetBuilder, part: parts.Part
) -> np.ndarray:
  """Returns checksums from TFDS's metadata of files, ``[num_examples]``.

  They do not depend on whether the images are already decoded.
  """
  split = builder.info.splits[part.split]
  is_local = files.is_local(builder.data_dir)
  known = []
  for path, length in zip(split.filepaths, split.shard_lengths, strict=True):
    size = os.path.getsize(path) if is_local else split.num_bytes
    line = f'{builder.info.full_name} {path.name} {size} {length}'
    known.append(zlib.crc32(line.encode()))
  each = np.repeat(np.array(known, np.uint32), split.shard_lengths)
  return each[part.start : part.stop]


def _example(
    images: tf.Tensor, keys: Mapping[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
  return {
      spec_lib.IMAGE: images,
      spec_lib.LABEL: tf.cast(keys['label'], tf.int64),
  }
