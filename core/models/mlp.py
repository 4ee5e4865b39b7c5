"""A multi-layer perceptron: 784-300-100-10 on Fashion-MNIST."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from .. import checks, layers, random
from . import model


class MLP(model.Model):
  """Dense layers with an activation and dropout between them.

  Reference:
    LeCun et al. 1998, Gradient-based learning applied to document recognition,
    whose network 28x28-300-100-10 has the same sizes.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('mlp', 10)
    >>> images = tf.zeros([2, 28, 28, 1])
    >>> model(images, is_training=False).shape.as_list()
    [2, 10]
  """

  def __init__(
      self,
      num_classes: int,
      hidden_sizes: Sequence[int] = (300, 100),
      activation: str = 'relu',
      dropout_rate: float = 0.0,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      hidden_sizes: The size of each hidden layer.
      activation: A name of `layers.ACTIVATIONS`.
      dropout_rate: The rate of dropout after each hidden layer, in [0, 1).
      name: Name of the module.

    Raises:
      ValueError: If a size is not positive, the activation is unknown or the
        rate is out of range.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.sizes('hidden_sizes', hidden_sizes)
    checks.rate('dropout_rate', dropout_rate)
    self.hidden = [layers.Dense(size, activation) for size in hidden_sizes]
    self.dropout = layers.Dropout(dropout_rate)
    self.output = layers.Dense(num_classes)

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Computes logits of inputs ``[batch_size, ...]``, flattened to features.

    Returns:
      Logits ``[batch_size, num_classes]``.
    """
    x = model.flatten(inputs)
    for index, dense in enumerate(self.hidden):
      x = dense(x)
      x = self.dropout(x, is_training, random.layer_seed(seed, index))
    return self.output(x)
