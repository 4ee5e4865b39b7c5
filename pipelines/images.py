"""Files of images: what their headers say, and their pixels."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
import tensorflow as tf

from . import errors

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.gif')
_PNG = b'\x89PNG\r\n\x1a\n'
# What a PNG's colour types have: grey, -, RGB, palette, grey and alpha, -, RGBA.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
# Markers of a JPEG's frame, and those without a length.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_BATCH_SIZE = 256


class Header(NamedTuple):
  """What a file says of its image.

  Attributes:
    height: The number of rows of pixels.
    width: The number of columns.
    channels: 1 grey, 3 colours; 2 and 4 are these with transparency.
    bits: The number of bits of a channel.
  """

  height: int
  width: int
  channels: int
  bits: int


def read_header(path: str | os.PathLike[str]) -> Header:
  """Reads the header of a PNG, JPEG, BMP or GIF, whatever its suffix.

  Args:
    path: The file.

  Returns:
    What it says.

  Raises:
    DataError: If the file cannot be read or is none of these.
  """
  try:
    with open(path, 'rb') as file:
      found = _header(file)
  except (OSError, struct.error, KeyError) as error:
    reason = (
        error.strerror or 'cannot be read'
        if isinstance(error, OSError)
        else 'its header is cut short or damaged'
    )
    raise errors.DataError(f'{path}: {reason}.') from None
  if found is None or min(found) < 1:
    raise errors.DataError(
        f'{path}: not an image; expected PNG, JPEG, BMP or GIF.'
    )
  return found


def _header(file: BinaryIO) -> Header | None:
  start = file.read(32)
  if start.startswith(_PNG):
    width, height, bits, kind = struct.unpack('>IIBB', start[16:26])
    return Header(height, width, _PNG_CHANNELS[kind], bits)
  if start[:6] in (b'GIF87a', b'GIF89a'):
    width, height = struct.unpack('<HH', start[6:10])
    return Header(height, width, 3, 8)
  if start.startswith(b'BM'):
    width, height, _, bits = struct.unpack('<iiHH', start[18:30])
    return Header(abs(height), width, bits // 8, 8)  # Below 0: top row first.
  if start.startswith(b'\xff\xd8'):
    file.seek(2)
    return _jpeg_header(file)
  return None


def _jpeg_header(file: BinaryIO) -> Header:
  """Goes from segment to segment, up to the one of the frame."""
  while True:
    mark, marker = struct.unpack('>BB', file.read(2))
    while marker == 0xFF:  # Filled up.
      [marker] = struct.unpack('>B', file.read(1))
    if mark != 0xFF:
      raise KeyError(mark)
    if marker in _ALONE:
      continue
    [length] = struct.unpack('>H', file.read(2))
    if marker in _FRAMES:
      bits, height, width, parts = struct.unpack('>BHHB', file.read(6))
      return Header(height, width, 1 if parts == 1 else 3, bits)
    file.seek(length - 2, os.SEEK_CUR)


def decode(contents: tf.Tensor, channels: int) -> tf.Tensor:
  """Decodes an image; of a GIF the first picture.

  Args:
    contents: The bytes of the file, a string ``[]``.
    channels: 1 for grey, 3 for colours; transparency is dropped.

  Returns:
    uint8 ``[H, W, channels]``. Running it fails where the image is broken.
  """

  def bitmap():  # Their decoder converts nothing.
    image = tf.image.decode_bmp(contents)[..., :3]
    is_grey = tf.shape(image)[-1] == 1
    if channels == 3:
      return tf.cond(
          is_grey, lambda: tf.image.grayscale_to_rgb(image[..., :1]),
          lambda: image,
      )
    return tf.cond(
        is_grey, lambda: image, lambda: tf.image.rgb_to_grayscale(image)
    )

  def picture():
    image = tf.io.decode_gif(contents)[0]
    return image if channels == 3 else tf.image.rgb_to_grayscale(image)

  def other():
    return tf.io.decode_image(contents, channels, expand_animations=False)

  start = tf.strings.substr(contents, 0, 3)
  image = tf.case(
      [
          (tf.strings.substr(contents, 0, 2) == b'BM', bitmap),
          (start == b'GIF', picture),
      ],
      default=other,
  )
  return tf.ensure_shape(image, [None, None, channels])


def resize(image: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
  """Resizes an image, antialiased bilinear.

  Args:
    image: uint8 ``[H, W, C]``.
    size: The new (height, width).

  Returns:
    uint8 ``[*size, C]``.
  """
  resized = tf.image.resize(image, size, antialias=True)
  rounded = tf.saturate_cast(tf.round(resized), tf.uint8)
  return tf.ensure_shape(rounded, [*size, image.shape[-1]])


def read(
    path: tf.Tensor, shape: tuple[int, int, int], resizes: bool
) -> tf.Tensor:
  """Reads an image; running it fails where the file is broken.

  Args:
    path: The file, a string ``[]``.
    shape: (H, W, C) to return.
    resizes: Whether images of other sizes are resized; else they fail.

  Returns:
    uint8 of the shape.
  """
  image = decode(tf.io.read_file(path), shape[-1])
  image = resize(image, shape[:2]) if resizes else image
  return tf.ensure_shape(image, shape)


def load(
    paths: Sequence[str], shape: tuple[int, int, int], resizes: bool
) -> tuple[np.ndarray, dict[int, str]]:
  """Reads images into memory, several at a time.

  Args:
    paths: The files.
    shape: (H, W, C) of each image.
    resizes: Whether images of other sizes are resized; else they are broken.

  Returns:
    uint8 ``[num_images, H, W, C]``, and why an image cannot be read, by its
    index; such images are 0.
  """
  array = np.zeros([len(paths), *shape], np.uint8)
  found = np.zeros(len(paths), bool)
  dataset = (
      tf.data.Dataset.from_tensor_slices(list(paths))
      .enumerate()
      .map(
          lambda index, path: (index, read(path, shape, resizes)),
          num_parallel_calls=tf.data.AUTOTUNE,
      )
      .ignore_errors()
      .batch(_BATCH_SIZE)
      .prefetch(1)
  )
  for index, some in dataset.as_numpy_iterator():
    array[index], found[index] = some, True
  return array, {
      int(index): why_broken(paths[index], shape, resizes)
      for index in np.flatnonzero(~found)
  }


def why_broken(
    path: str, shape: tuple[int, int, int], resizes: bool
) -> str:
  """Returns why an image cannot be read.

  Args:
    path: The file.
    shape: (H, W, C) that it should have.
    resizes: Whether images of other sizes are resized.

  Returns:
    The reason, without the path.

  Raises:
    RuntimeError: If it can be read now: the fault was the machine's.
  """
  try:
    read(tf.constant(path), shape, resizes)
  except (tf.errors.OpError, ValueError) as error:
    return errors.one_line(error)
  raise RuntimeError(
      f'{path} could not be read, and can now: is the memory or the disk full?'
  )
