"""Pure functions of image batches that run on the device in the train step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from . import autograph, splits, streams
from . import spec as spec_lib

_LEVELS = 256


def scale(images: tf.Tensor) -> tf.Tensor:
  """Scales bytes to [0, 1].

  Args:
    images: uint8 ``[batch_size, H, W, C]``.

  Returns:
    float32 of the same shape, `images` / 255.

  Raises:
    TypeError: If the images are not bytes, for example already scaled.

  Example:
    >>> import tensorflow as tf
    >>> from pipelines import preprocessing
    >>> preprocessing.scale(tf.constant([0, 255], tf.uint8)).numpy().tolist()
    [0.0, 1.0]
  """
  if images.dtype != tf.uint8:
    raise TypeError(
        f'images: expected uint8, got {images.dtype.name}; scale only once.'
    )
  return tf.cast(images, tf.float32) / (_LEVELS - 1)


def normalize(images: tf.Tensor, mean: Any, std: Any) -> tf.Tensor:
  """Shifts and scales each channel: (images - mean) / std.

  Args:
    images: Scaled images, floating-point ``[batch_size, H, W, C]``.
    mean: The mean of each channel ``[C]``, or one number for all.
    std: The standard deviation of each channel ``[C]``, or one number. Channels
      with 0, constant in training, become 0.

  Returns:
    The shape and dtype of `images`.

  Raises:
    ValueError: If the length of mean or std is not the number of channels.
  """
  mean = tf.convert_to_tensor(mean, images.dtype)
  std = tf.convert_to_tensor(std, images.dtype)
  for name, value in (('mean', mean), ('std', std)):
    if value.shape.rank and value.shape[-1] != images.shape[-1]:
      raise ValueError(
          f'{name}: expected {images.shape[-1]} values, one per channel, got '
          f'shape {value.shape}.'
      )
  return tf.math.divide_no_nan(images - mean, std)


def statistics(data: splits.Split) -> tuple[np.ndarray, np.ndarray]:
  """Computes the mean and standard deviation of scaled images.

  The result is exact: integers are counted and summed, then divided once.

  Args:
    data: The training examples.

  Returns:
    The mean and (population) standard deviation of each channel in [0, 1],
    float32 ``[C]`` each.

  Raises:
    DataError: If a streamed example is damaged.
  """
  num_channels = data.spec[spec_lib.IMAGE].shape[-1]
  counts = np.zeros([num_channels, _LEVELS], np.int64)
  loaded = (
      data.keys()
      .batch(256)
      .map(
          autograph.off(lambda keys: data.load(keys)['image']),
          num_parallel_calls=tf.data.AUTOTUNE,
      )
  )
  with streams.explained(data):
    for images in loaded.as_numpy_iterator():
      for channel in range(num_channels):
        counts[channel] += np.bincount(
            images[..., channel].ravel(), minlength=_LEVELS
        )
  levels = np.arange(_LEVELS)
  means, stds = [], []
  for histogram in counts:
    size = int(histogram.sum())
    first = int((histogram * levels).sum())
    second = int((histogram * levels**2).sum())
    means.append(first / (size * (_LEVELS - 1)))
    variance = (size * second - first**2) / (size * (_LEVELS - 1)) ** 2
    stds.append(variance**0.5)
  return np.array(means, np.float32), np.array(stds, np.float32)


def projections(images: tf.Tensor) -> tf.Tensor:
  """Averages each row and each column.

  Args:
    images: Floating-point ``[batch_size, H, W, C]``.

  Returns:
    The means of the rows, then of the columns: ``[batch_size, (H + W) * C]``.

  Example:
    >>> import tensorflow as tf
    >>> from pipelines import preprocessing
    >>> image = tf.reshape(tf.constant([1., 3., 5., 7.]), [1, 2, 2, 1])
    >>> preprocessing.projections(image).numpy().tolist()
    [[2.0, 6.0, 3.0, 5.0]]
  """
  rows = tf.reduce_mean(images, axis=2)  # [B, H, C]
  columns = tf.reduce_mean(images, axis=1)  # [B, W, C]
  return flatten(tf.concat([rows, columns], axis=1))


def flatten(images: tf.Tensor) -> tf.Tensor:
  """Flattens all axes but the first.

  Args:
    images: ``[batch_size, ...]`` with static sizes after the first.

  Returns:
    ``[batch_size, the product of the other sizes]``.
  """
  return tf.reshape(images, [-1, images.shape[1:].num_elements()])


def bag_of_words(images: tf.Tensor, num_levels: int = 8) -> tf.SparseTensor:
  """Describes each image by words: one per pixel, of its position and level.

  The word of position p and level l, ``floor(num_levels * x)``, is the integer
  ``p * num_levels + l``. Every position has a word, so the number of values is
  static, as XLA and TF Lite require.

  Args:
    images: Floating-point ``[batch_size, H, W, C]``, clipped to [0, 1].
    num_levels: The number of levels, at least 1.

  Returns:
    Counts of the words, a float32 sparse matrix ``[batch_size, H * W * C *
    num_levels]`` with H * W * C ones per row, in order.

  Raises:
    ValueError: If num_levels is not positive.

  Example:
    >>> import tensorflow as tf
    >>> from pipelines import preprocessing
    >>> image = tf.reshape(tf.constant([0.0, 0.3, 1.0]), [1, 1, 3, 1])
    >>> bag = preprocessing.bag_of_words(image, num_levels=2)
    >>> tf.sparse.to_dense(bag).numpy().tolist()
    [[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]]
  """
  if num_levels < 1:
    raise ValueError(f'num_levels: expected at least 1, got {num_levels}.')
  pixels = flatten(images)  # [B, P]
  num_positions = pixels.shape[1]
  batch_size = pixels.shape[0] or tf.shape(pixels)[0]
  levels = tf.clip_by_value(tf.floor(pixels * num_levels), 0, num_levels - 1)
  words = tf.cast(levels, tf.int32) + num_levels * tf.range(num_positions)
  rows = tf.repeat(tf.range(batch_size), num_positions)
  indices = tf.stack([rows, tf.reshape(words, [-1])], axis=1)
  return tf.SparseTensor(
      tf.cast(indices, tf.int64),
      tf.ones([batch_size * num_positions]),
      tf.cast([batch_size, num_positions * num_levels], tf.int64),
  )


# The inputs that a model may request by name, from scaled images.
FEATURES: dict[str, Callable[[tf.Tensor], tf.Tensor | tf.SparseTensor]] = {
    'bag': bag_of_words,
    'image': tf.identity,
    'projections': projections,
}
