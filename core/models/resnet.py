"""Residual networks of any depth and width: ResNet-18 to WRN-40-4."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, layers, random
from . import model


def _convolution(
    num_channels: int, size: int, stride: int = 1
) -> layers.Conv2D:
  """Makes a convolution without a bias, which batch norm would cancel."""
  return layers.Conv2D(
      num_channels,
      size,
      stride,
      w_init=snt.initializers.VarianceScaling(2.0),
      with_bias=False,
  )


class PreActivationBlock(snt.Module):
  """``x + f(x)``; f is twice batch norm, activation and 3x3 convolution.

  If the block changes the size or the number of channels, the shortcut is a 1x1
  convolution of the first activation.

  Reference:
    He et al. 2016, Identity mappings in deep residual networks, figure 1 (b);
    Zagoruyko and Komodakis 2016, figure 1 (d).
  """

  def __init__(
      self,
      num_channels: int,
      stride: int,
      activation: str,
      dropout_rate: float,
      stochastic_depth_rate: float,
      batch_norm_momentum: float,
      name: str | None = None,
  ):
    """Constructs the block.

    Args:
      num_channels: The number of channels of the outputs.
      stride: The divisor of height and width.
      activation: A name of `layers.ACTIVATIONS`.
      dropout_rate: The rate of dropout between the convolutions, in [0, 1).
      stochastic_depth_rate: The rate of skipping the block, in [0, 1).
      batch_norm_momentum: The decay rate of `layers.BatchNorm`.
      name: Name of the module.
    """
    super().__init__(name=name)
    self.num_channels = num_channels
    self.stride = stride
    self.activation = layers.activation(activation)
    self.norms = [
        layers.BatchNorm(decay_rate=batch_norm_momentum) for _ in range(2)
    ]
    self.convolutions = [
        _convolution(num_channels, 3, stride),
        _convolution(num_channels, 3),
    ]
    self.shortcut: layers.Conv2D | None = None
    self.dropout = layers.Dropout(dropout_rate)
    self.depth = layers.StochasticDepth(stochastic_depth_rate)

  def __call__(
      self, inputs: tf.Tensor, is_training: bool, seed: tf.Tensor | None
  ) -> tf.Tensor:
    """Maps ``[B, H, W, C]`` to ``[B, ceil(H / stride), ..., num_channels]``."""
    x = self.activation(self.norms[0](inputs, is_training))
    skip = inputs
    if self.stride != 1 or inputs.shape[-1] != self.num_channels:
      if self.shortcut is None:
        self.shortcut = _convolution(self.num_channels, 1, self.stride)
      skip = self.shortcut(x)
    x = self.convolutions[0](x)
    x = self.activation(self.norms[1](x, is_training))
    x = self.dropout(x, is_training, random.layer_seed(seed, 0))
    x = self.convolutions[1](x)
    return skip + self.depth(x, is_training, random.layer_seed(seed, 1))


class ResNet(model.Model):
  """Stages of pre-activation blocks, an average over the image, a dense layer.

  The first convolution keeps the size, for small images; each stage but the
  first halves it. With images of 32 x 32 x 3 and 10 classes:

  ================ ================== ================== ===== =============
  network          blocks_per_stage   channels           width parameters
  ================ ================== ================== ===== =============
  WRN-16-1         2, 2, 2            16, 32, 64         1     175,066
  WRN-16-4         2, 2, 2            16, 32, 64         4     2,748,890
  WRN-40-4         6, 6, 6            16, 32, 64         4     8,949,210
  WRN-28-10        4, 4, 4            16, 32, 64         10    36,479,194
  ResNet-18 (v2)   2, 2, 2, 2         64, 128, 256, 512  1     11,172,170
  ================ ================== ================== ===== =============

  Batch normalization uses the statistics of the global batch, including
  padding; training batches have none.

  Reference:
    `He et al. 2016 <https://arxiv.org/abs/1603.05027>`_, Identity mappings in
    deep residual networks; `Zagoruyko and Komodakis 2016
    <https://arxiv.org/abs/1605.07146>`_, Wide residual networks, table 1.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('resnet', 10, blocks_per_stage=(1, 1, 1))
    >>> images = tf.zeros([2, 32, 32, 3])
    >>> model(images, is_training=False).shape.as_list()
    [2, 10]
  """

  def __init__(
      self,
      num_classes: int,
      blocks_per_stage: Sequence[int] = (2, 2, 2),
      channels: Sequence[int] = (16, 32, 64),
      width: int = 1,
      stem_channels: int = 16,
      activation: str = 'relu',
      dropout_rate: float = 0.0,
      stochastic_depth_rate: float = 0.0,
      batch_norm_momentum: float = 0.9,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      blocks_per_stage: The number of blocks per stage: n for WRN-(6n + 4).
      channels: The number of channels of each stage.
      width: A factor of all `channels`.
      stem_channels: The channels of the first convolution; 64 in ResNet-18.
      activation: A name of `layers.ACTIVATIONS`.
      dropout_rate: The rate of dropout inside the blocks, in [0, 1).
      stochastic_depth_rate: The rate of skipping the last block, in [0, 1); it
        grows linearly from the first, as in Huang et al. 2016.
      batch_norm_momentum: The decay rate of `layers.BatchNorm`; about 1 / (1 -
        momentum) batches are averaged.
      name: Name of the module.

    Raises:
      ValueError: If a number is not positive, a rate is out of range, or the
        numbers of stages differ.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.rate('batch_norm_momentum', batch_norm_momentum)
    checks.sizes('blocks_per_stage', blocks_per_stage)
    checks.sizes('channels', channels)
    checks.size('width', width)
    checks.size('stem_channels', stem_channels)
    if not blocks_per_stage:
      raise ValueError('blocks_per_stage: expected one or more, got none.')
    if len(blocks_per_stage) != len(channels):
      raise ValueError(
          f'channels: expected {len(blocks_per_stage)} numbers, one per stage '
          f'of blocks_per_stage, got {tuple(channels)}.'
      )
    checks.rate('dropout_rate', dropout_rate)
    checks.rate('stochastic_depth_rate', stochastic_depth_rate)
    self.stem = _convolution(stem_channels, 3)
    self.blocks: list[PreActivationBlock] = []
    num_blocks = sum(blocks_per_stage)
    for stage, stage_blocks in enumerate(blocks_per_stage):
      for block in range(stage_blocks):
        share = (len(self.blocks) + 1) / num_blocks
        self.blocks.append(
            PreActivationBlock(
                num_channels=channels[stage] * width,
                stride=2 if stage and not block else 1,
                activation=activation,
                dropout_rate=dropout_rate,
                stochastic_depth_rate=stochastic_depth_rate * share,
                batch_norm_momentum=batch_norm_momentum,
            )
        )
    self.norm = layers.BatchNorm(decay_rate=batch_norm_momentum)
    self.activation = layers.activation(activation)
    self.output = layers.Dense(num_classes)

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Computes logits of images ``[batch_size, height, width, channels]``.

    Returns:
      Logits ``[batch_size, num_classes]``.
    """
    x = self.stem(inputs)
    for index, block in enumerate(self.blocks):
      x = block(x, is_training, random.layer_seed(seed, index))
    x = self.activation(self.norm(x, is_training))
    return self.output(tf.reduce_mean(x, axis=[1, 2]))
