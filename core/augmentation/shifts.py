"""Shifts of images by whole pixels."""

from __future__ import annotations

import tensorflow as tf

from .. import checks, random

PADDINGS = ('reflect', 'zero')


def shift(
    images: tf.Tensor, offsets: tf.Tensor, padding: str = 'zero'
) -> tf.Tensor:
  """Moves each image down and to the right.

  Args:
    images: ``[batch_size, height, width, channels]``.
    offsets: How far to move each image down and right, integers ``[batch_size,
      2]``; negative ones move it up and left.
    padding: ``zero``, or ``reflect`` for the image mirrored at its outermost
      pixels; then offsets are in (-height, height) and (-width, width).

  Returns:
    The images, of the same shape and type.

  Raises:
    ValueError: If a shape does not fit or the padding is unknown.
    TypeError: If the offsets are not integers.

  Reference:
    `He et al. 2015 <https://arxiv.org/abs/1512.03385>`_, section 4.2: with
    zeros, this is their random crop of a padded image; `Jordan 2024
    <https://arxiv.org/abs/2404.00498>`_ with reflection.

  Example:
    >>> import tensorflow as tf
    >>> from core import augmentation
    >>> images = tf.reshape(tf.range(1, 7), [2, 1, 3, 1])
    >>> moved = augmentation.shift(images, [[0, 1], [0, -1]])
    >>> moved[:, 0, :, 0].numpy().tolist()
    [[0, 1, 2], [5, 6, 0]]
  """
  images = tf.convert_to_tensor(images)
  offsets = tf.convert_to_tensor(offsets)
  checks.rank('images', images, 4)
  batch_size, height, width, _ = checks.sizes_of(images)
  offsets = checks.shape('offsets', offsets, [batch_size, 2])
  checks.integers('offsets', offsets)
  checks.one_of('padding', padding, PADDINGS)
  rows = _sources(offsets[:, 0], height, padding)
  columns = _sources(offsets[:, 1], width, padding)
  if images.dtype != tf.uint8:
    return _gather(_gather(images, rows, axis=1), columns, axis=2)
  # Products of 0 or 1 with integers below 256 are exact on any device. They
  # avoid gathers, which may be slow under XLA on GPUs; on CPUs both are fast.
  # For wider types, devices may round the factors (TensorFloat-32).
  pixels = tf.cast(images, tf.float32)
  pixels = tf.einsum('bij,bjlc->bilc', tf.one_hot(rows, height), pixels)
  pixels = tf.einsum('bkl,bilc->bikc', tf.one_hot(columns, width), pixels)
  return tf.cast(pixels, images.dtype)


def _sources(
    offsets: tf.Tensor, size: int | tf.Tensor, padding: str
) -> tf.Tensor:
  """Returns the source of the pixel at each place, ``[batch_size, size]``."""
  places = tf.range(size) - tf.cast(offsets, tf.int32)[:, None]
  if padding == 'zero':
    return places
  last = size - 1
  return last - tf.abs(last - tf.abs(places))


def _gather(images: tf.Tensor, sources: tf.Tensor, axis: int) -> tf.Tensor:
  """Gathers rows or columns, with zeros for those outside the image."""
  size = checks.sizes_of(images)[axis]
  inside = tf.clip_by_value(sources, 0, size - 1)
  taken = tf.gather(images, inside, axis=axis, batch_dims=1)
  is_inside = tf.reshape(
      sources == inside, [-1, *(size if n == axis else 1 for n in (1, 2, 3))]
  )
  return tf.where(is_inside, taken, tf.zeros([], images.dtype))


def random_offsets(
    seed: tf.Tensor, batch_size: int | tf.Tensor, max_shift: int
) -> tf.Tensor:
  """Draws uniform offsets of up to a number of pixels.

  Args:
    seed: Integers ``[2]``.
    batch_size: The number of examples on this replica.
    max_shift: The maximum offset in each of the four directions, at least 0.

  Returns:
    int32 ``[batch_size, 2]``, in [-max_shift, max_shift].

  Raises:
    ValueError: If the seed has another shape, or max_shift is negative.

  Reference:
    `He et al. 2015 <https://arxiv.org/abs/1512.03385>`_, section 4.2.

  Example:
    >>> from core import augmentation
    >>> offsets = augmentation.random_offsets([0, 1], 100, max_shift=2)
    >>> sorted({int(offset) for offset in offsets.numpy().ravel()})
    [-2, -1, 0, 1, 2]
  """
  seed = tf.convert_to_tensor(seed)
  checks.shape('seed', seed, [2])
  checks.size('max_shift', max_shift, low=0)
  numbers = random.uniform(seed, [batch_size, 2])
  return tf.cast(tf.floor(numbers * (2 * max_shift + 1)), tf.int32) - max_shift
