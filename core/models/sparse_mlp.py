"""A multi-layer perceptron of a bag of words, given as a sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from .. import checks, layers, random
from . import model


class SparseMLP(model.Model):
  """A sparse first layer, then dense ones with an activation and dropout.

  Its input ``bag`` has a column per word of the vocabulary, with the counts, or
  other values, of the words in an example.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('sparse_mlp', 10)
    >>> bag = tf.sparse.from_dense([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    >>> model(bag, is_training=False).shape.as_list()
    [2, 10]
  """

  input_names = ('bag',)

  def __init__(
      self,
      num_classes: int,
      hidden_sizes: Sequence[int] = (100,),
      activation: str = 'relu',
      dropout_rate: float = 0.0,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      hidden_sizes: The size of each hidden layer. The first has a row per word.
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
    sizes = [*hidden_sizes, num_classes]
    activations = [activation] * len(hidden_sizes) + ['linear']
    kinds = [layers.SparseDense] + [layers.Dense] * len(hidden_sizes)
    self.layers = [
        kind(size, each)
        for kind, size, each in zip(kinds, sizes, activations, strict=True)
    ]
    self.dropout = layers.Dropout(dropout_rate)

  def __call__(
      self,
      inputs: tf.SparseTensor | tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Computes logits of a sparse matrix ``[batch_size, num_words]`` of floats.

    A dense one gives the same result, more slowly.

    Returns:
      Logits ``[batch_size, num_classes]``.
    """
    x = inputs
    for index, layer in enumerate(self.layers):
      if index:
        x = self.dropout(x, is_training, random.layer_seed(seed, index))
      x = layer(x)
    return x
