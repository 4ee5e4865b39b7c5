"""A small convolutional network: blocks of convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, layers, random
from . import model


class ConvNet(model.Model):
  """3x3 convolutions with activations and max pooling, then a dense layer.

  With its default arguments and images of 28 x 28 x 1: 32 and 64 filters, 128
  hidden units, 421,642 parameters.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('convnet', 10)
    >>> images = tf.zeros([2, 28, 28, 1])
    >>> model(images, is_training=False).shape.as_list()
    [2, 10]
  """

  def __init__(
      self,
      num_classes: int,
      channels: Sequence[int] = (32, 64),
      hidden_size: int = 128,
      activation: str = 'relu',
      dropout_rate: float = 0.4,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      channels: The number of filters of each block.
      hidden_size: The size of the dense layer.
      activation: A name of `layers.ACTIVATIONS`.
      dropout_rate: The rate of dropout before and after the dense layer, in
        [0, 1).
      name: Name of the module.

    Raises:
      ValueError: If a size is not positive or the rate is out of range.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.sizes('channels', channels)
    checks.size('hidden_size', hidden_size)
    checks.rate('dropout_rate', dropout_rate)
    self.convolutions = [
        layers.Conv2D(filters, 3, w_init=snt.initializers.VarianceScaling(2.0))
        for filters in channels
    ]
    self.activation = layers.activation(activation)
    self.hidden = layers.Dense(hidden_size, activation)
    self.dropout = layers.Dropout(dropout_rate)
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
    x = inputs
    for convolution in self.convolutions:
      # Pooling first leaves a quarter of the numbers to the activation. The two
      # commute if the activation never decreases, like the rectifier; gelu and
      # silu dip below 0.
      x = layers.max_pool2d(convolution(x))
      x = self.activation(x)
    x = model.flatten(x)
    x = self.dropout(x, is_training, random.layer_seed(seed, 0))
    x = self.hidden(x)
    x = self.dropout(x, is_training, random.layer_seed(seed, 1))
    return self.output(x)
