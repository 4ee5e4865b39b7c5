"""Images as the bytes of a PNG or JPEG file: what a server is sent."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

BYTES = 'image_bytes'  # TF Serving has base64 for names that end like this.
SIGNATURE = 'bytes'
_CHANNELS = (1, 3)


def are(shape: Sequence[int | None], dtype: tf.DType) -> bool:
  """Returns whether images ``[H, W, C]`` can be given as bytes of a file."""
  return (
      dtype == tf.uint8
      and len(shape) == 3
      and None not in shape
      and shape[-1] in _CHANNELS
  )


def spec() -> tf.TensorSpec:
  """Returns the input: strings ``[batch_size]``."""
  return tf.TensorSpec([None], tf.string, name=BYTES)


def decoded(contents: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
  """Decodes images, and resizes those of another size.

  Args:
    contents: The bytes of PNG, JPEG, GIF or BMP files, strings
      ``[batch_size]``.
    shape: The shape ``(H, W, C)`` of an image, with 1 or 3 channels.

  Returns:
    uint8 ``[batch_size, H, W, C]``.
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
