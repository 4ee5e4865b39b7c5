"""Stochastic depth: residual branches that are dropped example by example."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from . import dropout


@snt.allow_empty_variables
class StochasticDepth(snt.Module):
  """Drops the whole of an example at random: dropout with one unit an example.

  Apply it to the branch of a residual block: ``x + depth(f(x), ...)`` skips the
  block for a share ``rate`` of the examples and scales f for the others by
  ``1 / (1 - rate)``. The paper's rates grow linearly from the first block to
  the last. The same seed drops the same examples, on one replica or many.

  Reference:
    Huang et al. 2016, Deep networks with stochastic depth; example by example
    and scaled in training as ``torchvision.ops.stochastic_depth(mode='row')``.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> depth = layers.StochasticDepth(0.5)
    >>> y = depth(tf.ones([8, 2]), is_training=True, seed=[0, 1])
    >>> sorted(set(map(tuple, y.numpy().tolist())))
    [(0.0, 0.0), (2.0, 2.0)]
  """

  def __init__(self, rate: float, name: str | None = None):
    """Constructs the layer.

    Args:
      rate: The probability of dropping an example, in [0, 1).
      name: Name of the module.

    Raises:
      ValueError: If the rate is out of range.
    """
    super().__init__(name=name)
    self.dropout = dropout.Dropout(rate)

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Checks that there is a batch axis; makes no variables.

    Raises:
      ValueError: If input_shape is empty.
    """
    self.dropout.build(input_shape)

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Drops examples in training, and nothing otherwise.

    Args:
      inputs: The branch, float ``[batch_size, ...]``.
      is_training: Whether to drop.
      seed: Integers ``[2]``; needed in training unless the rate is 0.

    Returns:
      A tensor like the inputs.

    Raises:
      ValueError: If a seed is needed and missing, or not of shape [2].
    """
    if not is_training or not self.dropout.rate:
      return inputs
    inputs = tf.convert_to_tensor(inputs)
    batch_size = inputs.shape[0] or tf.shape(inputs)[0]
    ones = tf.ones([batch_size] + [1] * (inputs.shape.rank - 1), inputs.dtype)
    return inputs * self.dropout(ones, is_training, seed)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns the shape of the result: that of the inputs."""
    return self.dropout.output_shape(input_shape)
