"""Folders of small images, written in a moment."""

from __future__ import annotations

import os
import pathlib

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


def pixels(
    num_examples: int, shape: tuple[int, ...] = (6, 5, 1), seed: int = 0
) -> np.ndarray:
  """Returns random images, uint8 ``[num_examples, *shape]``."""
  generator = np.random.default_rng(seed)
  return generator.integers(0, 256, [num_examples, *shape], np.uint8)
