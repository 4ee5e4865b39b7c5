"""Gaussian noise that is the same for any number of replicas."""

from __future__ import annotations

import math
from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, random


@snt.allow_empty_variables
class GaussianNoise(snt.Module):
  """Adds normal noise in training: ``x + stddev * n``.

  The same seed gives the same noise on any number of replicas (`core.random`).

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

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Checks that there is a batch axis; there are no variables."""
    if not input_shape:
      raise ValueError('input_shape: expected [batch_size, ...], got ().')

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Adds noise in training; otherwise returns the inputs.

    Args:
      inputs: float ``[batch_size, ...]``; any size may be unknown.
      is_training: Whether to add noise.
      seed: Integers ``[2]``; required in training unless stddev is 0.

    Returns:
      A tensor like the inputs.
    """
    if not is_training or not self.stddev:
      return inputs
    if seed is None:
      raise ValueError('seed: noise in training needs a seed of shape [2].')
    seed = tf.convert_to_tensor(seed)
    checks.shape('seed', seed, [2])
    inputs = tf.convert_to_tensor(inputs)
    noise = random.normal(seed, checks.sizes_of(inputs))
    return inputs + tf.cast(self.stddev * noise, inputs.dtype)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns the shape of the inputs."""
    self.build(input_shape)
    return tuple(input_shape)
