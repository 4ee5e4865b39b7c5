"""Random erasing: rectangles of images replaced by noise."""

from __future__ import annotations

import math

import tensorflow as tf

from .. import checks, random

_ATTEMPTS = 10  # With the defaults, all fail for < 1 in 10^12 squares.


def erase(
    images: tf.Tensor, boxes: tf.Tensor, fill: tf.Tensor | float = 0
) -> tf.Tensor:
  """Replaces a rectangle in each image.

  Args:
    images: ``[batch_size, height, width, channels]``.
    boxes: Top, left, height and width of each rectangle, integers
      ``[batch_size, 4]``; a height of 0 erases nothing.
    fill: The replacement: a number, or a tensor like the images.

  Returns:
    The images, of the same shape and type.

  Raises:
    ValueError: If a shape does not fit.
    TypeError: If the boxes are not integers.

  Reference:
    `Zhong et al. 2017 <https://arxiv.org/abs/1708.04896>`_, Random erasing data
    augmentation, algorithm 1.

  Example:
    >>> import tensorflow as tf
    >>> from core import augmentation
    >>> images = tf.ones([1, 2, 4, 1], tf.uint8)
    >>> erased = augmentation.erase(images, [[0, 1, 1, 2]], fill=7)
    >>> erased[0, :, :, 0].numpy().tolist()
    [[1, 7, 7, 1], [1, 1, 1, 1]]
  """
  images = tf.convert_to_tensor(images)
  boxes = tf.convert_to_tensor(boxes)
  checks.rank('images', images, 4)
  batch_size, num_rows, num_columns, _ = checks.sizes_of(images)
  boxes = checks.shape('boxes', boxes, [batch_size, 4])
  checks.integers('boxes', boxes)
  top, left, height, width = tf.unstack(tf.cast(boxes, tf.int32), axis=1)
  rows = _between(num_rows, top, height)[:, :, None, None]
  columns = _between(num_columns, left, width)[:, None, :, None]
  fill = tf.cast(fill, images.dtype)
  if fill.shape.rank != 0:
    fill, images = checks.same_shape(fill=fill, images=images)
  return tf.where(rows & columns, fill, images)


def _between(
    size: int | tf.Tensor, start: tf.Tensor, length: tf.Tensor
) -> tf.Tensor:
  """Returns which places are in each interval, ``[batch_size, size]``."""
  places = tf.range(size) - start[:, None]
  return (places >= 0) & (places < length[:, None])


def random_boxes(
    seed: tf.Tensor,
    images: tf.Tensor,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
) -> tf.Tensor:
  """Draws a rectangle per image, for `erase`.

  A box is drawn up to ten times, until it is smaller than the image: its share
  of the area is uniform, its aspect ratio log-uniform, so that tall boxes are
  as likely as wide ones (the paper's uniform ratio favors tall ones), and its
  position uniform. If all attempts fail, which is likely for areas close to 1,
  the image has no box.

  Args:
    seed: Integers ``[2]``.
    images: ``[batch_size, height, width, channels]``.
    probability: The probability of a box, in [0, 1].
    area: The minimum and maximum share of the image's area, in (0, 1].
    aspect: The minimum and maximum ratio of height to width, above 0.

  Returns:
    Top, left, height and width, int32 ``[batch_size, 4]``; all 0 without a box.

  Raises:
    ValueError: If an argument is out of range or its shape does not fit.

  Reference:
    `Zhong et al. 2017 <https://arxiv.org/abs/1708.04896>`_, algorithm 1, with
    the ranges of section 4.2; the ratio is log-uniform as in torchvision.

  Example:
    >>> import tensorflow as tf
    >>> from core import augmentation
    >>> images = tf.zeros([1000, 28, 28, 1])
    >>> boxes = augmentation.random_boxes([0, 1], images)
    >>> area = tf.cast(boxes[:, 2] * boxes[:, 3], tf.float32) / 28**2
    >>> bool(tf.reduce_max(area) < 0.42)
    True
  """
  seed, images = tf.convert_to_tensor(seed), tf.convert_to_tensor(images)
  checks.shape('seed', seed, [2])
  checks.rank('images', images, 4)
  checks.in_range('probability', probability, 0, 1)
  _check_interval('area', area, 1)
  _check_interval('aspect', aspect, math.inf)
  batch_size, *sizes, _ = checks.sizes_of(images)
  size = tf.cast(tf.stack(sizes), tf.float32)
  # Whether and where; then the area and ratio of each attempt.
  numbers = random.uniform(seed, [batch_size, 3 + 2 * _ATTEMPTS])
  shares, ratios = tf.split(numbers[:, 3:], 2, axis=1)
  shares = area[0] + shares * (area[1] - area[0])
  logs = math.log(aspect[0]) + ratios * math.log(aspect[1] / aspect[0])
  sides = tf.sqrt(shares * tf.reduce_prod(size))[..., None] * tf.exp(
      logs[..., None] * [0.5, -0.5]
  )
  sides = tf.maximum(tf.round(sides), 1)  # [B, attempts, 2]
  fits = tf.cast(tf.reduce_all(sides < size, axis=-1), tf.float32)
  is_first = fits * tf.cast(tf.cumsum(fits, axis=1) == 1, tf.float32)
  is_erased = tf.cast(numbers[:, :1] < probability, tf.float32)
  sides = is_erased * tf.reduce_sum(is_first[..., None] * sides, axis=1)
  corner = tf.floor(numbers[:, 1:3] * (size - sides + 1))
  boxes = tf.concat([corner * tf.sign(sides), sides], axis=1)
  return tf.cast(boxes, tf.int32)


def noise(seed: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
  """Draws images of uniform noise, the fill of random erasing.

  Args:
    seed: Integers ``[2]``.
    images: uint8 or floating ``[batch_size, height, width, channels]``.

  Returns:
    A tensor like the images: integers in [0, 255], or numbers in [0, 1).

  Raises:
    ValueError: If a shape does not fit.
    TypeError: If images are integers other than uint8.

  Reference:
    `Zhong et al. 2017 <https://arxiv.org/abs/1708.04896>`_, section 4.2: RE-R,
    which performed best.

  Example:
    >>> import tensorflow as tf
    >>> from core import augmentation
    >>> images = tf.zeros([1000, 4, 4, 1], tf.uint8)
    >>> noise = augmentation.noise([0, 1], images).numpy()
    >>> int(noise.min()), int(noise.max())
    (0, 255)
  """
  seed, images = tf.convert_to_tensor(seed), tf.convert_to_tensor(images)
  checks.shape('seed', seed, [2])
  checks.rank('images', images, 4)
  if not (images.dtype.is_floating or images.dtype == tf.uint8):
    raise TypeError(
        f'images: expected uint8 or floating, got {images.dtype.name}; convert '
        'with tf.cast.'
    )
  numbers = random.uniform(seed, checks.sizes_of(images))
  scale = 1 if images.dtype.is_floating else 256
  return tf.cast(numbers * scale, images.dtype)


def _check_interval(
    name: str, interval: tuple[float, float], most: float
) -> None:
  low, high = interval
  if not 0 < low <= high <= most:
    raise ValueError(
        f'{name}: expected (low, high), 0 < low <= high <= {most}, got '
        f'{interval}.'
    )
