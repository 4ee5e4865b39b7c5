"""A U-Net: a class for each pixel of an image."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, layers, random
from . import model


class ConvolutionBlock(snt.Module):
  """Two 3x3 convolutions, each with optional batch norm and an activation."""

  def __init__(
      self,
      num_channels: int,
      activation: str,
      batch_norm_momentum: float | None,
      name: str | None = None,
  ):
    """Constructs the block.

    Args:
      num_channels: The number of channels of the outputs.
      activation: A name of `layers.ACTIVATIONS`.
      batch_norm_momentum: The decay rate of `layers.BatchNorm`. If None, there
        is no batch norm, and convolutions have a bias instead.
      name: Name of the module.
    """
    super().__init__(name=name)
    self.norms: list[layers.BatchNorm] = []
    if batch_norm_momentum is not None:
      self.norms = [
          layers.BatchNorm(decay_rate=batch_norm_momentum) for _ in range(2)
      ]
    self.convolutions = [
        layers.Conv2D(
            num_channels,
            3,
            w_init=snt.initializers.VarianceScaling(2.0),
            with_bias=not self.norms,
        )
        for _ in range(2)
    ]
    self.activation = layers.activation(activation)

  def __call__(self, inputs: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Maps ``[B, H, W, C]`` to ``[B, H, W, num_channels]``."""
    x = inputs
    for index, convolution in enumerate(self.convolutions):
      x = convolution(x)
      if self.norms:
        x = self.norms[index](x, is_training)
      x = self.activation(x)
    return x


class UNet(model.Model):
  """Down by max pooling, up by transposed convolutions, with skip connections.

  Each level down halves height and width; each level up doubles them and also
  sees the result of the same level on the way down. Images may have any size:
  odd sizes are rounded up on the way down, and on the way up the last row or
  column is cut off. (Ronneberger et al. use convolutions without padding, and
  predict only the middle of the image.)

  With the default arguments, images of one channel and 2 classes: 117,042
  parameters, independent of the image size.

  Batch normalization uses the statistics of the global batch; in a train step,
  examples of weight 0 do not count.

  Reference:
    `Ronneberger et al. 2015 <https://arxiv.org/abs/1505.04597>`_, U-Net:
    convolutional networks for biomedical image segmentation, figure 1, with
    channels 64, 128, 256, 512, 1024.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('unet', 3, channels=(4, 8, 16))
    >>> images = tf.zeros([2, 30, 45, 1])
    >>> model(images, is_training=False).shape.as_list()
    [2, 30, 45, 3]
  """

  task = 'segmentation'

  def __init__(
      self,
      num_classes: int,
      channels: Sequence[int] = (16, 32, 64),
      activation: str = 'relu',
      dropout_rate: float = 0.0,
      with_batch_norm: bool = True,
      batch_norm_momentum: float = 0.9,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits per pixel, at least 1.
      channels: The number of channels of each level, starting at the image's
        size; each further level halves it.
      activation: A name of `layers.ACTIVATIONS`.
      dropout_rate: The rate of dropout after the lowest level, in [0, 1).
      with_batch_norm: Whether batch norm follows each 3x3 convolution.
      batch_norm_momentum: The decay rate of `layers.BatchNorm`.
      name: Name of the module.

    Raises:
      ValueError: If there is no level, a size is not positive, the activation
        is unknown or a rate is out of range.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.sizes('channels', channels)
    if not channels:
      raise ValueError('channels: expected a number for each level, got none.')
    checks.rate('dropout_rate', dropout_rate)
    checks.rate('batch_norm_momentum', batch_norm_momentum)
    momentum = batch_norm_momentum if with_batch_norm else None
    self.down = [
        ConvolutionBlock(size, activation, momentum) for size in channels
    ]
    *levels, _ = channels
    # For each pixel of a 2x2 square, a quarter of the channels.
    self.expansions = [
        layers.Conv2D(4 * size, 1, with_bias=False) for size in levels
    ]
    self.up = [ConvolutionBlock(size, activation, momentum) for size in levels]
    self.dropout = layers.Dropout(dropout_rate)
    self.output = layers.Conv2D(num_classes, 1)

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Computes logits of images ``[batch_size, height, width, channels]``.

    All sizes but the number of channels may be unknown while tracing.

    Returns:
      Logits ``[batch_size, height, width, num_classes]``.
    """
    x = self.down[0](tf.convert_to_tensor(inputs), is_training)
    skips = []
    for block in self.down[1:]:
      skips.append(x)
      x = block(layers.max_pool2d(x), is_training)
    x = self.dropout(x, is_training, random.layer_seed(seed, 0))
    for level in reversed(range(len(skips))):
      # A transposed convolution, of each pixel to 2x2.
      larger = tf.nn.depth_to_space(self.expansions[level](x), 2)
      larger = _cropped(larger, skips[level])
      x = tf.concat([skips[level], larger], axis=-1)
      x = self.up[level](x, is_training)
    return self.output(x)


def _cropped(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
  """Cuts off the last row or column if `like` has one fewer."""
  sides = like.shape[1:3]
  if sides.is_fully_defined() and sides == x.shape[1:3]:
    return x
  _, height, width, _ = checks.sizes_of(like)
  return x[:, :height, :width]
