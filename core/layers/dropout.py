"""Dropout whose masks do not depend on the number of replicas."""

from __future__ import annotations

import tensorflow as tf

from .. import checks, random
from . import stochastic


class Dropout(stochastic.Stochastic):
  """Zeroes units at random and scales the others: ``x * mask / (1 - rate)``.

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

  @property
  def _strength(self) -> float:
    return self.rate

  def _apply(self, inputs: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    numbers = random.uniform(seed, checks.sizes_of(inputs))
    kept = tf.cast(numbers >= self.rate, inputs.dtype)
    return inputs * kept / tf.cast(1 - self.rate, inputs.dtype)
