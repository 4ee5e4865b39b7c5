"""Images as the bytes of a PNG or JPEG file, as clients send them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

BYTES = 'image_bytes'  # TF Serving decodes base64 for names that end in _bytes.
_CHANNELS = (1, 3)


def are(shape: Sequence[int | None], dtype: tf.DType) -> bool:
  """Returns whether images ``[H, W, C]`` can be passed as bytes of a file."""
  return (
      dtype == tf.uint8
      and len(shape) == 3
      and None not in shape
      and shape[-1] in _CHANNELS
  )


def signatures(
    call: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    shape: Sequence[int | None],
    dtype: tf.DType,
) -> dict[str, Any]:
  """Returns the signature ``bytes`` of a function of uint8 images.

  It is a `tf.function` of ``image_bytes``, strings ``[batch_size]``, by its
  name. The mapping is empty if images of this shape ``[H, W, C]`` and dtype
  cannot be passed as bytes of a file.
  """
  if not are(shape, dtype):
    return {}
  size = [side for side in shape if side is not None]

  def of_files(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    return call(decoded(image_bytes, size))

  spec = tf.TensorSpec([None], tf.string, name=BYTES)
  return {'bytes': tf.function(of_files, [spec], autograph=False)}


def decoded(contents: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
  """Decodes images to uint8 ``[batch_size, H, W, C]``, resizing if necessary.

  Args:
    contents: The bytes of PNG, JPEG, GIF or BMP files, strings
      ``[batch_size]``.
    shape: The shape ``(H, W, C)`` of an image, with 1 or 3 channels.
  """
  height, width, channels = shape

  def decode(each: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_image(each, channels, expand_animations=False)
    image.set_shape([None, None, channels])

    def resized() -> tf.Tensor:
      pixels = tf.image.resize(image, [height, width], antialias=True)
      return tf.saturate_cast(tf.round(pixels), tf.uint8)

    is_right = tf.reduce_all(tf.shape(image)[:2] == [height, width])
    return tf.ensure_shape(
        tf.cond(is_right, lambda: image, resized), [height, width, channels]
    )

  return tf.map_fn(
      decode, contents, fn_output_signature=tf.TensorSpec(shape, tf.uint8)
  )
