"""Normalization by statistics of the data, computed before training."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf


class Normalization(snt.Module):
  r"""``(x - center) * scale`` per column, and 0 for missing numbers.

  `fit` sets ``center``, the mean, and ``scale``, the inverse standard
  deviation, from the training split, before training; until then they are 0 and
  1. They are non-trainable variables, so checkpoints and exports hold them.

  NaN stands for a missing number. It does not count in the statistics, and
  becomes 0, as if it were the mean, with gradient 0. A column that is constant
  in training, or all missing, is always 0.

  Reference:
    LeCun et al. 1998, Efficient backprop, section 4.3; like
    ``keras.layers.Normalization``, which has no missing numbers.

  Example:
    >>> import math
    >>> import tensorflow as tf
    >>> from core import layers
    >>> layer = layers.Normalization()
    >>> layer.fit(tf.constant([[10.0, 5.0], [30.0, 5.0], [math.nan, 5.0]]))
    >>> layer(tf.constant([[40.0, 6.0], [math.nan, 5.0]])).numpy().tolist()
    [[2.0, 0.0], [0.0, 0.0]]
  """

  def __init__(self, name: str | None = None):
    """Constructs the layer.

    Args:
      name: Name of the module.
    """
    super().__init__(name=name)
    self.center: tf.Variable | None = None
    self.scale: tf.Variable | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the variables; only the last size must be known."""
    size = self.output_shape(input_shape)[-1]
    if self.center is None:
      self.center = tf.Variable(tf.zeros([size]), False, name='center')
      self.scale = tf.Variable(tf.ones([size]), False, name='scale')

  def fit(self, inputs: tf.Tensor) -> None:
    """Sets the statistics; call it eagerly.

    Args:
      inputs: Numbers ``[num_examples, ..., size]``, the whole training split or
        a representative part of it; NaN where one is missing.

    Raises:
      ValueError: If a shape does not fit or a number is infinite.
    """
    x = tf.cast(tf.convert_to_tensor(inputs), tf.float64)
    self.output_shape(x.shape)
    x = tf.reshape(x, [-1, x.shape[-1]])
    is_infinite = tf.reduce_any(tf.math.is_inf(x), axis=0)
    if bool(tf.reduce_any(is_infinite)):
      columns = tf.where(is_infinite)[:, 0].numpy().tolist()
      raise ValueError(
          'inputs: expected finite numbers, or NaN where one is missing; '
          f'columns {columns} hold infinities.'
      )
    is_known = ~tf.math.is_nan(x)
    count = tf.reduce_sum(tf.cast(is_known, x.dtype), axis=0)

    def average(values: tf.Tensor) -> tf.Tensor:
      total = tf.reduce_sum(tf.where(is_known, values, 0), axis=0)
      return tf.math.divide_no_nan(total, count)

    mean = average(x)
    variance = average(tf.square(x - mean))
    # Rounding leaves the variance of equal numbers slightly above 0.
    varies = tf.reduce_max(tf.where(is_known, x, x.dtype.min), axis=0) > (
        tf.reduce_min(tf.where(is_known, x, x.dtype.max), axis=0)
    )
    scale = tf.minimum(tf.math.rsqrt(variance), tf.float32.max)
    self.build(x.shape)
    self.center.assign(tf.cast(mean, tf.float32))
    self.scale.assign(tf.cast(tf.where(varies, scale, 0), tf.float32))

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Applies the layer; it computes in float32 or float64.

    Args:
      inputs: float ``[batch_size, ..., size]``; NaN where one is missing.

    Returns:
      A tensor like the inputs.

    Raises:
      TypeError: If the inputs are not floating point numbers.
    """
    inputs = tf.convert_to_tensor(inputs)
    if not inputs.dtype.is_floating:
      raise TypeError(
          f'inputs: expected floating point numbers, got {inputs.dtype.name}; '
          'convert with tf.cast(..., tf.float32).'
      )
    self.build(inputs.shape)
    wide = tf.float64 if inputs.dtype == tf.float64 else tf.float32
    x = tf.cast(inputs, wide)
    x = (x - tf.cast(self.center, wide)) * tf.cast(self.scale, wide)
    return tf.cast(
        tf.where(tf.math.is_nan(x), tf.zeros([], wide), x), inputs.dtype
    )

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns the shape of the inputs."""
    size = input_shape[-1] if len(input_shape) > 1 else None
    if size is None:
      raise ValueError(
          'input_shape: expected [batch_size, ..., size] with size known, got '
          f'{tuple(input_shape)}.'
      )
    built = size if self.center is None else self.center.shape[0]
    if built != size:
      raise ValueError(
          f'input_shape: the layer was built for {built} numbers, got '
          f'{tuple(input_shape)}.'
      )
    return tuple(input_shape)
