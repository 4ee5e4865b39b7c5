"""Stochastic depth: residual branches dropped per example."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from . import dropout


@snt.allow_empty_variables
class StochasticDepth(snt.Module):
  """Drops whole examples at random: dropout with one unit per example.

  Apply it to the branch of a residual block: ``x + depth(f(x), ...)`` skips the
  block for a share ``rate`` of the examples and scales f for the others by ``1
  / (1 - rate)``. In the paper, rates grow linearly from the first block to the
  last. The same seed drops the same examples on any number of replicas.

  Reference:
    Huang et al. 2016, Deep networks with stochastic depth; per example and
    scaled in training, like ``torchvision.ops.stochastic_depth(mode='row')``.

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
    """Checks that there is a batch axis; there are no variables."""
    self.dropout.build(input_shape)

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Drops examples in training; otherwise returns the inputs.

    Args:
      inputs: The branch, float ``[batch_size, ...]``.
      is_training: Whether to drop examples.
      seed: Integers ``[2]``; required in training unless the rate is 0.

    Returns:
      A tensor like the inputs.
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
    """Returns the shape of the inputs."""
    return self.dropout.output_shape(input_shape)
