"""Dropout whose masks do not depend on the number of replicas."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, random


@snt.allow_empty_variables
class Dropout(snt.Module):
  """Zeroes units at random and scales the others: ``x * mask / (1 - rate)``.

  The same seed gives the same mask on any number of replicas (`core.random`).

  Reference:
    Srivastava et al. 2014, Dropout: a simple way to prevent neural networks
    from overfitting; scaled in training (inverted dropout).

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> y = layers.Dropout(0.5)(tf.ones([1, 8]), is_training=True, seed=[0, 1])
    >>> sorted(set(y.numpy().ravel().tolist()))
    [0.0, 2.0]
  """

  def __init__(self, rate: float, name: str | None = None):
    """Constructs the layer.

    Args:
      rate: The probability of zeroing a unit, in [0, 1).
      name: Name of the module.

    Raises:
      ValueError: If the rate is out of range.
    """
    super().__init__(name=name)
    checks.rate('rate', rate)
    self.rate = rate

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
    """Applies dropout in training; otherwise returns the inputs.

    Args:
      inputs: float ``[batch_size, ...]``; any size may be unknown.
      is_training: Whether to apply dropout.
      seed: Integers ``[2]``; required in training unless the rate is 0.

    Returns:
      A tensor like the inputs.
    """
    if not is_training or not self.rate:
      return inputs
    if seed is None:
      raise ValueError('seed: dropout in training needs a seed of shape [2].')
    seed = tf.convert_to_tensor(seed)
    checks.shape('seed', seed, [2])
    inputs = tf.convert_to_tensor(inputs)
    numbers = random.uniform(seed, checks.sizes_of(inputs))
    kept = tf.cast(numbers >= self.rate, inputs.dtype)
    return inputs * kept / tf.cast(1 - self.rate, inputs.dtype)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns the shape of the inputs."""
    self.build(input_shape)
    return tuple(input_shape)
