"""Reads the headers and pixels of image files."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
import tensorflow as tf

from . import autograph, errors

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.gif')
_PNG = b'\x89PNG\r\n\x1a\n'
# By color type: gray, RGB, palette, gray and alpha, RGBA.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
# JPEG markers of frames, and those without a length.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
# The JPEG segment with Exif data, and the orientations that swap the axes.
_APP1, _EXIF, _ORIENTATION_TAG = 0xE1, b'Exif\0\0', 0x0112
_LYING = (5, 6, 7, 8)
_BATCH_SIZE = 256


class Header(NamedTuple):
  """The header of an image file.

  Attributes:
    height: The number of rows of pixels.
    width: The number of columns.
    channels: 1 for gray, 3 for colors; 2 and 4 with transparency.
    bits: The number of bits per channel.
    orientation: How the pixels are stored, 1 to 8 as in Exif. Height and width
      are those of the upright image.
  """

  height: int
  width: int
  channels: int
  bits: int
  orientation: int = 1


def read_header(path: str | os.PathLike[str]) -> Header:
  """Reads the header of a PNG, JPEG, BMP or GIF, whatever its suffix.

  Args:
    path: The file.

  Returns:
    The header.

  Raises:
    DataError: If the file cannot be read or has none of these formats.
  """
  try:
    with open(path, 'rb') as file:
      found = _header(file)
  except errors.DataError as error:
    raise errors.DataError(f'{path}: {error}') from None
  except (OSError, struct.error, KeyError, ValueError) as error:
    reason = (
        error.strerror or 'cannot be read'
        if isinstance(error, OSError)
        else 'its header is truncated or damaged'
    )
    raise errors.DataError(f'{path}: {reason}.') from None
  if found is None or min(found) < 1:
    raise errors.DataError(
        f'{path}: not an image; expected PNG, JPEG, BMP or GIF.'
    )
  return found


def _header(file: BinaryIO) -> Header | None:
  start = file.read(34)
  if start.startswith(_PNG):
    width, height, bits, kind = struct.unpack('>IIBB', start[16:26])
    return Header(height, width, _PNG_CHANNELS[kind], bits)
  if start[:6] in (b'GIF87a', b'GIF89a'):
    width, height = struct.unpack('<HH', start[6:10])
    return Header(height, width, 3, 8)
  if start.startswith(b'BM'):
    return _bmp_header(file, start)
  if start.startswith(b'\xff\xd8'):
    file.seek(2)
    return _jpeg_header(file)
  return None


def _bmp_header(file: BinaryIO, start: bytes) -> Header:
  """Rejects palettes and packed pixels, which the decoder does not detect."""
  size, width, height, _, bits, packed = struct.unpack('<IiiHHI', start[14:34])
  if bits == 8:
    file.seek(14 + size)
    greys = b''.join(bytes((value, value, value)) for value in range(256))
    palette = np.frombuffer(file.read(4 * 256), np.uint8).reshape(-1, 4)
    is_plain = palette[:, :3].tobytes() == greys
  else:
    is_plain = bits in (24, 32)
  if not is_plain or packed not in (0, 3):
    raise errors.DataError(
        'a BMP with a palette or packed pixels; convert it to PNG.'
    )
  return Header(abs(height), width, bits // 8, 8)  # Negative: top row first.


def _jpeg_header(file: BinaryIO) -> Header:
  """Reads segments up to that of the frame."""
  orientation = 1
  while True:
    mark, marker = struct.unpack('>BB', file.read(2))
    while marker == 0xFF:  # Fill bytes.
      [marker] = struct.unpack('>B', file.read(1))
    if mark != 0xFF:
      raise KeyError(mark)
    if marker in _ALONE:
      continue
    [length] = struct.unpack('>H', file.read(2))
    if marker in _FRAMES:
      bits, height, width, parts = struct.unpack('>BHHB', file.read(6))
      if orientation in _LYING:
        height, width = width, height
      return Header(height, width, 1 if parts == 1 else 3, bits, orientation)
    if marker != _APP1:
      file.seek(length - 2, os.SEEK_CUR)
      continue
    segment = file.read(length - 2)
    if segment.startswith(_EXIF):
      orientation = _orientation(segment[len(_EXIF) :])


def _orientation(tiff: bytes) -> int:
  """Reads the orientation in a block of Exif; 1 if there is none.

  Reference:
    CIPA DC-008, Exif 2.32, 4.6.4: tag 0x0112 of the first directory.
  """
  order = '>' if tiff.startswith(b'MM') else '<'
  with contextlib.suppress(struct.error):  # May be truncated.
    [place] = struct.unpack_from(f'{order}I', tiff, 4)
    [count] = struct.unpack_from(f'{order}H', tiff, place)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
      tag, _, _, value = struct.unpack_from(f'{order}HHIH', tiff, entry)
      if tag == _ORIENTATION_TAG:
        return value if 1 <= value <= 8 else 1
  return 1


def orientations(paths: Sequence[str]) -> np.ndarray:
  """Returns how the pixels of files are stored.

  Args:
    paths: The files.

  Returns:
    int32 ``[num_images]``, 1 to 8; 1 for files that cannot be read.
  """
  found = np.ones(len(paths), np.int32)
  for index, path in enumerate(paths):
    with contextlib.suppress(errors.DataError):
      found[index] = read_header(path).orientation
  return found


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Rotates and mirrors an image to be upright.

  Args:
    image: ``[H, W, C]`` as stored.
    orientation: An integer ``[]``, 1 to 8, as in Exif: where the first row and
      the first column of the stored image belong.

  Returns:
    ``[H, W, C]``, or ``[W, H, C]`` if the axes are swapped.
  """

  def where(
      numbers: Sequence[int], change: Callable[[tf.Tensor], tf.Tensor]
  ) -> tf.Tensor:
    is_one = tf.reduce_any(tf.equal(orientation, numbers))
    return tf.cond(is_one, lambda: change(image), lambda: image)

  image = where(_LYING, lambda x: tf.transpose(x, [1, 0, 2]))
  image = where((2, 3, 6, 7), lambda x: tf.reverse(x, [1]))
  return where((3, 4, 7, 8), lambda x: tf.reverse(x, [0]))


def decode(contents: tf.Tensor, channels: int) -> tf.Tensor:
  """Decodes an image; only the first frame of a GIF.

  Args:
    contents: The bytes of the file, a string ``[]``.
    channels: 1 for gray, 3 for colors; transparency is dropped.

  Returns:
    uint8 ``[H, W, channels]``. Running the op fails if the image is broken, or
    if a BMP or GIF with colors is to be converted to gray.
  """

  def other() -> tf.Tensor:
    return tf.io.decode_image(contents, channels, expand_animations=False)

  def bitmap() -> tf.Tensor:
    # Its decoder does not convert: adding zeros repeats gray.
    image = tf.io.decode_bmp(contents)[..., :3]
    return image + tf.zeros([1, 1, channels], tf.uint8)

  is_bmp = tf.strings.substr(contents, 0, 2) == b'BM'
  image = tf.cond(is_bmp, bitmap, other)
  return tf.ensure_shape(image, [None, None, channels])


def resize(
    image: tf.Tensor, size: Sequence[int], *, is_mask: bool = False
) -> tf.Tensor:
  """Resizes an image with antialiased bilinear interpolation.

  Args:
    image: uint8 ``[H, W, C]``.
    size: The new (height, width).
    is_mask: Whether values are classes, to use the nearest neighbor instead.

  Returns:
    uint8 ``[*size, C]``.
  """
  if is_mask:
    nearest = tf.image.ResizeMethod.NEAREST_NEIGHBOR
    return tf.image.resize(image, size, nearest)
  resized = tf.image.resize(image, size, antialias=True)
  rounded = tf.saturate_cast(tf.round(resized), tf.uint8)
  return tf.ensure_shape(rounded, [*size, image.shape[-1]])


@autograph.off
def read(
    path: tf.Tensor,
    shape: tuple[int, ...],
    resizes: bool,
    is_mask: bool = False,
    orientation: tf.Tensor | None = None,
) -> tf.Tensor:
  """Reads an image; running the op fails if the file is broken.

  Args:
    path: The file, a string ``[]``.
    shape: (H, W, C) to return.
    resizes: Whether images of other sizes are resized; otherwise they fail.
    is_mask: Whether values are classes.
    orientation: The orientation, see `upright`. Default: upright.

  Returns:
    uint8 of the shape.
  """
  image = decode(tf.io.read_file(path), shape[-1])
  if orientation is not None:
    image = upright(image, orientation)
  image = resize(image, shape[:2], is_mask=is_mask) if resizes else image
  return tf.ensure_shape(image, shape)


def load(
    paths: Sequence[str],
    shape: tuple[int, ...],
    resizes: bool,
    *,
    is_mask: bool = False,
) -> tuple[np.ndarray, dict[int, str]]:
  """Reads images into memory, several at a time.

  Args:
    paths: The files.
    shape: (H, W, C) of each image.
    resizes: Whether to resize images of other sizes; otherwise they are broken.
    is_mask: Whether values are classes.

  Returns:
    uint8 ``[num_images, H, W, C]``, with zeros for unreadable images, and the
    reasons by the index of each unreadable image.
  """
  array = np.zeros([len(paths), *shape], np.uint8)
  found = np.zeros(len(paths), bool)
  for index, some in _readable(paths, shape, resizes, is_mask):
    array[index], found[index] = some, True
  return array, _why(paths, found, shape, resizes)


def find_broken(
    paths: Sequence[str], shape: tuple[int, ...], resizes: bool
) -> dict[int, str]:
  """Finds the images that cannot be read, without keeping the others.

  Args:
    paths: The files.
    shape: (H, W, C) of each image.
    resizes: Whether to resize images of other sizes; otherwise they are broken.

  Returns:
    The reasons by the index of each unreadable image.
  """
  found = np.zeros(len(paths), bool)
  for index, _ in _readable(paths, shape, resizes):
    found[index] = True
  return _why(paths, found, shape, resizes)


def find_first_broken(
    paths: Sequence[str], shape: tuple[int, ...], resizes: bool
) -> tuple[int, str] | None:
  """Finds the first image that cannot be read.

  Args:
    paths: The files.
    shape: (H, W, C) of each image.
    resizes: Whether to resize images of other sizes; otherwise they are broken.

  Returns:
    Its index and the reason, or None if all can be read.
  """
  num_read = 0
  for indices, _ in _readable(paths, shape, resizes):
    missing = np.flatnonzero(indices != num_read + np.arange(len(indices)))
    num_read += int(missing[0]) if missing.size else len(indices)
    if missing.size:
      break
  if num_read == len(paths):
    return None
  return num_read, why_broken(paths[num_read], shape, resizes)


def _readable(
    paths: Sequence[str],
    shape: tuple[int, ...],
    resizes: bool,
    is_mask: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  return (
      tf.data.Dataset.from_tensor_slices(
          (tf.constant(list(paths), tf.string), orientations(paths))
      )
      .enumerate()
      .map(
          autograph.off(
              lambda index, file: (
                  index,
                  read(file[0], shape, resizes, is_mask, file[1]),
              )
          ),
          num_parallel_calls=tf.data.AUTOTUNE,
      )
      .ignore_errors()
      .batch(_BATCH_SIZE)
      .prefetch(1)
      .as_numpy_iterator()
  )


def _why(
    paths: Sequence[str],
    found: np.ndarray,
    shape: tuple[int, ...],
    resizes: bool,
) -> dict[int, str]:
  return {
      index: why_broken(paths[index], shape, resizes)
      for index in np.flatnonzero(~found).tolist()
  }


def why_broken(path: str, shape: tuple[int, ...], resizes: bool) -> str:
  """Returns why an image cannot be read.

  Args:
    path: The file.
    shape: The expected (H, W, C).
    resizes: Whether images of other sizes are resized.

  Returns:
    The reason, without the path.

  Raises:
    RuntimeError: If it can be read now, so the fault was the machine's.
  """
  try:
    [orientation] = orientations([path])
    read(tf.constant(path), shape, resizes, orientation=orientation)
  except (tf.errors.OpError, ValueError) as error:
    return errors.one_line(error)
  raise RuntimeError(
      f'{path} could not be read before but can be now: is memory or disk full?'
  )
