"""Stochastic depth: residual branches dropped per example."""

from __future__ import annotations

import tensorflow as tf

from . import dropout


class StochasticDepth(dropout.Dropout):
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
    super().__init__(rate, name=name)

  def _apply(self, inputs: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    batch_size = inputs.shape[0] or tf.shape(inputs)[0]
    ones = tf.ones([batch_size] + [1] * (inputs.shape.rank - 1), inputs.dtype)
    return inputs * super()._apply(ones, seed)
