"""Gaussian noise that is the same for any number of replicas."""

from __future__ import annotations

import math

import tensorflow as tf

from .. import checks, random
from . import stochastic


class GaussianNoise(stochastic.Stochastic):
  """Adds normal noise in training: ``x + stddev * n``.

  Reference:
    Bishop 1995, Training with noise is equivalent to Tikhonov regularization;
    ``keras.layers.GaussianNoise``.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> x = tf.zeros([1, 3])
    >>> y = layers.GaussianNoise(0.1)(x, is_training=True, seed=[0, 1])
    >>> bool(tf.reduce_all(y != x) and tf.reduce_all(abs(y) < 0.6))
    True
  """

  def __init__(self, stddev: float, name: str | None = None):
    """Constructs the layer.

    Args:
      stddev: The standard deviation of the noise, at least 0.
      name: Name of the module.

    Raises:
      ValueError: If the standard deviation is negative.
    """
    super().__init__(name=name)
    checks.in_range('stddev', stddev, 0, math.inf)
    self.stddev = stddev

  @property
  def _strength(self) -> float:
    return self.stddev

  def _apply(self, inputs: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    noise = random.normal(seed, checks.sizes_of(inputs))
    return inputs + tf.cast(self.stddev * noise, inputs.dtype)
