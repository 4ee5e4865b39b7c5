"""Folders of small images, written in a moment."""

from __future__ import annotations

import os
import pathlib
import struct

import numpy as np
import tensorflow as tf


def write(path: str | os.PathLike[str], image: np.ndarray) -> None:
  """Writes an image.

  Args:
    path: The file, whose folders are made; the suffix .jpg makes it a JPEG.
    image: uint8 ``[H, W, C]``.
  """
  file = pathlib.Path(path)
  file.parent.mkdir(parents=True, exist_ok=True)
  is_jpeg = file.suffix.lower() in ('.jpg', '.jpeg')
  encode = tf.io.encode_jpeg if is_jpeg else tf.io.encode_png
  file.write_bytes(encode(image).numpy())


def with_exif(image: np.ndarray, tiff: bytes) -> bytes:
  """Returns a JPEG with a block of Exif.

  Args:
    image: uint8 ``[H, W, C]``.
    tiff: What stands in the block.
  """
  content = tf.io.encode_jpeg(image, quality=100).numpy()
  segment = b'Exif\0\0' + tiff
  length = struct.pack('>H', len(segment) + 2)
  return b'\xff\xd8\xff\xe1' + length + segment + content[2:]


def oriented(image: np.ndarray, orientation: int, order: str = '>') -> bytes:
  """Returns a JPEG whose Exif says how its pixels are stored.

  Args:
    image: uint8 ``[H, W, C]``, as it is stored.
    orientation: 1 to 8.
    order: '<' or '>', the order of the bytes of numbers.
  """
  mark = b'II' if order == '<' else b'MM'
  tiff = mark + struct.pack(f'{order}HIH', 42, 8, 2)
  for tag, value in ((0x0100, 9), (0x0112, orientation)):
    tiff += struct.pack(f'{order}HHIHH', tag, 3, 1, value, 0)
  return with_exif(image, tiff)


def pixels(
    num_examples: int, shape: tuple[int, ...] = (6, 5, 1), seed: int = 0
) -> np.ndarray:
  """Returns random images, uint8 ``[num_examples, *shape]``."""
  generator = np.random.default_rng(seed)
  return generator.integers(0, 256, [num_examples, *shape], np.uint8)
