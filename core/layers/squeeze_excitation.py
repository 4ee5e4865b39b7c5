"""Channels weighted by the content of the whole image."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks
from . import dense


class SqueezeAndExcitation(snt.Module):
  r"""Scales each channel by a gate computed from all channels' means.

  .. math::
    y = x \, \sigma(w_2 \, \mathrm{relu}(w_1 \bar{x} + b_1) + b_2)

  where :math:`\bar{x}` is the mean over positions, and :math:`w_1` maps to
  fewer units, by a factor of `ratio`.

  Reference:
    `Hu et al. 2018 <https://arxiv.org/abs/1709.01507>`_, equations 2 to 4.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> layer = layers.SqueezeAndExcitation(ratio=4)
    >>> layer(tf.ones([2, 7, 7, 32])).shape.as_list()
    [2, 7, 7, 32]
    >>> layer.squeeze.output_size
    8
  """

  def __init__(self, ratio: int = 16, name: str | None = None):
    """Constructs the layer.

    Args:
      ratio: The number of channels per unit of the hidden layer, at least 1; it
        has at least one unit.
      name: Name of the module.

    Raises:
      ValueError: If the ratio is not positive.
    """
    super().__init__(name=name)
    checks.size('ratio', ratio)
    self.ratio = ratio
    self.squeeze: dense.Dense | None = None
    self.excite: dense.Dense | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the variables; only the last size must be known."""
    *_, channels = self.output_shape(input_shape)
    if self.squeeze is None:
      self.squeeze = dense.Dense(max(1, channels // self.ratio), 'relu')
      self.excite = dense.Dense(channels, 'sigmoid')
    self.squeeze.build([None, channels])
    self.excite.build([None, self.squeeze.output_size])

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Applies the layer.

    Args:
      inputs: float ``[batch_size, ..., channels]``, of rank 3 or more.

    Returns:
      A tensor like the inputs.
    """
    inputs = tf.convert_to_tensor(inputs)
    self.output_shape(inputs.shape)
    if self.squeeze is None:
      self.build(inputs.shape)
    positions = list(range(1, inputs.shape.rank - 1))
    means = tf.reduce_mean(inputs, positions)  # [B, C]
    gates = self.excite(self.squeeze(means))
    for axis in positions:
      gates = tf.expand_dims(gates, axis)
    return inputs * gates

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns the shape of the inputs."""
    if len(input_shape) < 3 or input_shape[-1] is None:
      raise ValueError(
          'input_shape: expected [batch_size, ..., channels] with channels '
          f'known, got {tuple(input_shape)}.'
      )
    return tuple(input_shape)
