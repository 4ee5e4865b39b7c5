"""A split of images on disk, each read when a batch needs it."""

from __future__ import annotations

import dataclasses
import functools
import os
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from . import errors, images, in_memory, spec


@dataclasses.dataclass(eq=False)
class ImageFiles:
  """The examples of a split whose images do not fit in memory.

  Keys and epoch orders are those of `in_memory.InMemorySplit`, so batches are
  identical to those of the same images in memory.

  Attributes:
    paths: The file of each example's image.
    arrays: The other features, ``[num_examples, ...]``.
    spec: The features; `image` is read from the files.
    resizes: Whether images are resized to the shape of the spec.
    orientations: The orientation of each file, see `images.upright`. If None,
      all are upright.
    is_resident: False.
  """

  paths: Sequence[str]
  arrays: Mapping[str, np.ndarray]
  spec: spec.Spec
  resizes: bool = False
  orientations: np.ndarray | None = None
  is_resident: bool = dataclasses.field(default=False, init=False)

  @property
  def num_examples(self) -> int:
    """The number of examples."""
    return len(self.paths)

  def keys(self) -> tf.data.Dataset:
    """Returns the keys of all examples, in the order of the split."""
    return tf.data.Dataset.range(self.num_examples)

  def epochs(
      self, seed: int, first_epoch: int, global_batch_size: int
  ) -> tf.data.Dataset:
    """Returns the same keys as `in_memory.InMemorySplit.epochs`."""
    return self._order.epochs(seed, first_epoch, global_batch_size)

  def load(self, keys: tf.Tensor) -> dict[str, tf.Tensor]:
    """Reads the examples for keys, int64 ``[batch_size]``.

    The result is that of `splits.Split.load`.
    """
    shape = self.spec[spec.IMAGE].shape
    loaded = self._order.load(keys)
    files = [tf.gather(self._path_tensor, keys)]
    if self.orientations is not None:
      files.append(tf.gather(self.orientations, keys))
    loaded[spec.IMAGE] = tf.map_fn(
        lambda file: images.read(
            file[0], shape, self.resizes, orientation=[*file, None][1]
        ),
        files,
        fn_output_signature=tf.TensorSpec(shape, tf.uint8),
    )
    return {name: loaded[name] for name in (*self.spec, 'index')}

  def checksums(self) -> np.ndarray:
    """Returns a checksum of each example, without reading its image.

    It is uint32 ``[num_examples]``, the CRC-32 of the names of the file and its
    folder, the file size and the other features.
    """
    names = sorted(self.arrays)
    found = []
    for index, path in enumerate(self.paths):
      folder, name = os.path.split(path)
      known = f'{os.path.basename(folder)}/{name}:{os.path.getsize(path)}'
      values = (self.arrays[each][index].tobytes() for each in names)
      found.append(zlib.crc32(b''.join((os.fsencode(known), *values))))
    return np.array(found, np.uint32)

  def explain(self, error: Exception) -> Exception:
    """Returns the error to raise after an error in reading.

    This is a DataError that names the first unreadable file, if any, or else
    the error itself.
    """
    shape = self.spec[spec.IMAGE].shape
    broken = images.find_first_broken(self.paths, shape, self.resizes)
    if not broken:
      return error
    index, why = broken
    return errors.DataError(
        f'dataset: {self.paths[index]} cannot be decoded: {why}; restore it '
        'from a backup, or leave it out with skip_damaged.'
    )

  @functools.cached_property
  def _order(self) -> in_memory.InMemorySplit:
    """The features in memory, whose order is also that of the images."""
    features = {n: self.spec[n] for n in self.spec if n != spec.IMAGE}
    return in_memory.InMemorySplit(self.arrays, spec.Spec(features))

  @functools.cached_property
  def _path_tensor(self) -> tf.Tensor:
    with tf.init_scope(), tf.device('CPU:0'):
      return tf.constant(list(self.paths))
