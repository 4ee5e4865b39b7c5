"""A residual perceptron that also learns to reconstruct its inputs."""

from __future__ import annotations

import math

import sonnet as snt
import tensorflow as tf

from .. import checks, layers, losses
from . import model


class ResidualBlock(snt.Module):
  """``x + f(x)``, where f is dense layers of the size of x."""

  def __init__(
      self,
      num_layers: int,
      num_units: int,
      activation: str,
      name: str | None = None,
  ):
    """Constructs the block.

    Args:
      num_layers: The number of dense layers.
      num_units: Their size, which must be that of the inputs.
      activation: A name of `layers.ACTIVATIONS`.
      name: Name of the module.
    """
    super().__init__(name=name)
    self.layers = [
        layers.Dense(num_units, activation) for _ in range(num_layers)
    ]

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Maps ``[batch_size, num_units]`` to the same shape."""
    x = inputs
    for layer in self.layers:
      x = layer(x)
    return inputs + x


class ReconstructingMLP(model.Model):
  """Loops over residual blocks, regularized by a reconstruction loss.

  The forward pass applies the first block several times with the same weights,
  and each other block once. The mean squared error of the reconstructed inputs
  is an output, as a loss of the model itself.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('reconstructing_mlp', 10)
    >>> outputs = model(tf.zeros([2, 28, 28, 1]), is_training=False)
    >>> outputs['losses']['reconstruction'].shape.as_list()
    [2]
  """

  def __init__(
      self,
      num_classes: int,
      num_units: int = 128,
      num_blocks: int = 2,
      num_loops: int = 3,
      layers_per_block: int = 2,
      activation: str = 'elu',
      reconstruction_weight: float = 0.05,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      num_units: The size of every hidden layer.
      num_blocks: The number of residual blocks, at least 1.
      num_loops: How often the first block is applied, at least 1.
      layers_per_block: The number of dense layers in a block, at least 1.
      activation: A name of `layers.ACTIVATIONS`.
      reconstruction_weight: The weight of the reconstruction loss, >= 0.
      name: Name of the module.

    Raises:
      ValueError: If a number is not positive or the weight is negative.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    for argument, number in (
        ('num_units', num_units),
        ('num_blocks', num_blocks),
        ('num_loops', num_loops),
        ('layers_per_block', layers_per_block),
    ):
      checks.size(argument, number)
    checks.in_range('reconstruction_weight', reconstruction_weight, 0, math.inf)
    self.num_units = num_units
    self.num_loops = num_loops
    self.reconstruction_weight = reconstruction_weight
    self.first = layers.Dense(num_units, activation)
    self.blocks = [
        ResidualBlock(layers_per_block, num_units, activation)
        for _ in range(num_blocks)
    ]
    self.output = layers.Dense(num_classes)
    self.reconstruction: layers.Dense | None = None

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> dict[str, tf.Tensor | dict[str, tf.Tensor]]:
    """Computes logits, the reconstruction, and its loss.

    Returns:
      ``logits`` ``[batch_size, num_classes]``, ``reconstruction``
      ``[batch_size, features]`` and ``losses``, with ``reconstruction``
      ``[batch_size]``.
    """
    del is_training, seed
    features = model.flatten(inputs)
    if self.reconstruction is None:
      self.reconstruction = layers.Dense(features.shape[-1])
    x = self.first(features)
    for _ in range(self.num_loops - 1):
      x = self.blocks[0](x)
    for block in self.blocks:
      x = block(x)
    reconstruction = self.reconstruction(x)
    error = losses.squared_error(features, reconstruction)
    return {
        'logits': self.output(x),
        'reconstruction': reconstruction,
        'losses': {'reconstruction': self.reconstruction_weight * error},
    }
