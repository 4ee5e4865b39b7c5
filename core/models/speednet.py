"""A network that trains in few epochs: whitening, wide blocks, a small head."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, layers
from . import model


class PartialIdentity(snt.initializers.Initializer):
  """Initializes a convolution as the identity, with noise in other channels.

  Outputs equal the inputs, one each, up to the smaller number of both; the
  filters of further outputs are uniform in ``[-1 / sqrt(n), 1 / sqrt(n)]`` with
  n weights each.

  Reference:
    `Jordan 2024 <https://arxiv.org/abs/2404.00498>`_, section 3.3.

  Example:
    >>> import tensorflow as tf
    >>> from core.models import speednet
    >>> speednet.PartialIdentity()([1, 1, 2, 2], tf.float32).numpy().tolist()
    [[[[1.0, 0.0], [0.0, 1.0]]]]
  """

  def __call__(self, shape: Sequence[int], dtype: tf.DType) -> tf.Tensor:
    """Draws filters ``[height, width, num_inputs, num_outputs]``."""
    height, width, num_inputs, num_outputs = shape
    num_kept = min(num_inputs, num_outputs)
    centre = height // 2 * width + width // 2
    pixel = tf.one_hot(centre, height * width, dtype=dtype)
    identity = tf.reshape(pixel, [height, width, 1, 1]) * tf.eye(
        num_inputs, num_kept, dtype=dtype
    )
    uniform = snt.initializers.VarianceScaling(1 / 3, 'fan_in', 'uniform')(
        shape, dtype
    )
    return tf.concat([identity, uniform[..., num_kept:]], axis=-1)


class Block(snt.Module):
  """A convolution, max pooling, which halves the size, and more convolutions.

  Each convolution is 3x3, with batch norm without a scale, and an activation.

  Reference:
    `Jordan 2024 <https://arxiv.org/abs/2404.00498>`_, section 3.1.
  """

  def __init__(
      self,
      num_channels: int,
      num_convolutions: int,
      residual: bool,
      activation: str,
      batch_norm_momentum: float,
      name: str | None = None,
  ):
    """Constructs the block.

    Args:
      num_channels: The number of channels of the outputs.
      num_convolutions: The number of convolutions, at least 2.
      residual: Whether to add the first convolution's result to the last's.
      activation: A name of `layers.ACTIVATIONS`.
      batch_norm_momentum: The decay rate of `layers.BatchNorm`.
      name: Name of the module.
    """
    super().__init__(name=name)
    self.residual = residual
    self.activation = layers.activation(activation)
    self.convolutions = [
        snt.Conv2D(num_channels, 3, w_init=PartialIdentity(), with_bias=False)
        for _ in range(num_convolutions)
    ]
    self.norms = [
        layers.BatchNorm(create_scale=False, decay_rate=batch_norm_momentum)
        for _ in range(num_convolutions)
    ]

  def __call__(self, inputs: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Maps ``[B, H, W, C]`` to ``[B, ceil(H / 2), ceil(W / 2), channels]``."""
    pooled = layers.max_pool2d(self.convolutions[0](inputs))
    x = skip = self.activation(self.norms[0](pooled, is_training))
    for convolution, norm in zip(
        self.convolutions[1:-1], self.norms[1:-1], strict=True
    ):
      x = self.activation(norm(convolution(x), is_training))
    x = self.norms[-1](self.convolutions[-1](x), is_training)
    return self.activation(skip + x if self.residual else x)


class SpeedNet(model.Model):
  """Whitened patches, blocks of convolutions, the maximum over the image.

  With images of 28 x 28 x 1 and 10 classes, and the operations of a forward
  pass (two per multiplication):

  ======================= ==================== ========== ===========
  channels                convolutions / block parameters operations
  ======================= ==================== ========== ===========
  16, 32                  2                    19,154     8 million
  64, 256, 256            2                    1,967,890  223 million
  128, 256, 384           2                    3,270,162  393 million
  ======================= ==================== ========== ===========

  The filters of the first layer are not trained: call `initialize` with
  training images once after `build`, before the first step, as `launch.train`
  does. Without it they are random directions, which lowers accuracy.

  Batch normalization uses the statistics of the global batch, including
  padding; training batches have none.

  Reference:
    `Jordan 2024 <https://arxiv.org/abs/2404.00498>`_, 94% on CIFAR-10 in 3.29
    seconds on a single GPU, sections 3.1 to 3.3, where the patches of the first
    layer are 2x2 with three channels; with one channel they would have only
    four numbers. The paper's larger network, for 96%, has three convolutions
    per block and `residual`.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('speednet', 10, channels=(8, 16))
    >>> images = tf.random.stateless_uniform([2, 28, 28, 1], seed=[0, 1])
    >>> model.build(images.shape)
    >>> model.initialize(images)
    >>> model(images, is_training=False).shape.as_list()
    [2, 10]
  """

  def __init__(
      self,
      num_classes: int,
      channels: Sequence[int] = (64, 256, 256),
      convolutions_per_block: int = 2,
      residual: bool = False,
      whitening_size: int = 3,
      activation: str = 'gelu',
      logit_scale: float = 1 / 9,
      batch_norm_momentum: float = 0.6,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      channels: The number of channels of each block, which halves the image.
      convolutions_per_block: The number of convolutions of a block, at least 2.
      residual: Whether blocks add their first convolution's result to the last.
      whitening_size: The side of the patches of the first layer; 0 for no such
        layer.
      activation: A name of `layers.ACTIVATIONS`.
      logit_scale: The factor of the logits, above 0.
      batch_norm_momentum: The decay rate of `layers.BatchNorm`.
      name: Name of the module.

    Raises:
      ValueError: If a number is out of range.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.rate('batch_norm_momentum', batch_norm_momentum)
    checks.sizes('channels', channels)
    if not channels:
      raise ValueError('channels: expected a number for each block, got none.')
    checks.size('convolutions_per_block', convolutions_per_block, low=2)
    checks.size('whitening_size', whitening_size, low=0)
    checks.positive('logit_scale', logit_scale)
    self.whitening = (
        # The padding preserves even sides, for the pooling.
        layers.WhiteningConv2D(whitening_size, padding='SAME')
        if whitening_size
        else None
    )
    self.activation = layers.activation(activation)
    self.blocks = [
        Block(
            num_channels,
            convolutions_per_block,
            residual,
            activation,
            batch_norm_momentum,
        )
        for num_channels in channels
    ]
    self.logit_scale = logit_scale
    self.output = layers.Dense(num_classes, with_bias=False)

  def initialize(self, inputs: tf.Tensor) -> None:
    """Sets the filters of the first layer, see `layers.WhiteningConv2D`.

    Args:
      inputs: A few thousand training images ``[num_images, height, width,
        channels]``, prepared as for the steps but not augmented.
    """
    if self.whitening is not None:
      self.whitening.fit(inputs)

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
    del seed
    x = inputs
    if self.whitening is not None:
      x = self.activation(self.whitening(x))
    for block in self.blocks:
      x = block(x, is_training)
    return self.output(tf.reduce_max(x, axis=[1, 2])) * self.logit_scale
