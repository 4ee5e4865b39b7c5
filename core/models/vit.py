"""A small vision transformer: attention over the patches of an image."""

from __future__ import annotations

import functools

import sonnet as snt
import tensorflow as tf

from .. import checks, layers, random
from . import model

POOLINGS = ('class_token', 'mean')


class EncoderBlock(snt.Module):
  """Attention, then a dense layer per position, both with skip connections.

  The inputs of both are normalized, not the outputs (pre-norm), so deep stacks
  train without a warm-up.

  Reference:
    `Xiong et al. 2020 <https://arxiv.org/abs/2002.04745>`_, On layer
    normalization in the transformer architecture.
  """

  def __init__(
      self,
      num_heads: int,
      hidden_size: int,
      mlp_size: int,
      dropout_rate: float,
      name: str | None = None,
  ):
    """Constructs the block.

    Args:
      num_heads: The number of heads, which must divide hidden_size.
      hidden_size: The size of the embeddings.
      mlp_size: The size of the hidden layer.
      dropout_rate: The rate of dropout after attention and both dense layers.
      name: Name of the module.
    """
    super().__init__(name=name)
    normalization = functools.partial(
        snt.LayerNorm, -1, create_scale=True, create_offset=True
    )
    self.norm_1 = normalization()
    self.attention = layers.MultiHeadAttention(
        num_heads, hidden_size // num_heads
    )
    self.norm_2 = normalization()
    self.mlp_1 = layers.Dense(mlp_size, 'gelu')
    self.mlp_2 = layers.Dense(hidden_size)
    self.dropout = layers.Dropout(dropout_rate)

  def __call__(
      self, inputs: tf.Tensor, is_training: bool, seed: tf.Tensor | None
  ) -> tf.Tensor:
    """Maps ``[batch_size, length, hidden_size]`` to the same shape."""

    def drop(x: tf.Tensor, index: int) -> tf.Tensor:
      return self.dropout(x, is_training, random.layer_seed(seed, index))

    x = inputs + drop(self.attention(self.norm_1(inputs)), 0)
    hidden = drop(self.mlp_1(self.norm_2(x)), 1)
    return x + drop(self.mlp_2(hidden), 2)


class ViT(model.Model):
  """Patches, a stack of pre-norm encoder blocks, and a linear head.

  With the default arguments and images of 28 x 28 x 1, 49 patches: 138,634
  parameters.

  Reference:
    `Dosovitskiy et al. 2021 <https://arxiv.org/abs/2010.11929>`_, An image is
    worth 16x16 words; with the mean over positions of `Beyer et al. 2022
    <https://arxiv.org/abs/2205.01580>`_.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('vit', 10, num_layers=1)
    >>> images = tf.zeros([2, 28, 28, 1])
    >>> model(images, is_training=False).shape.as_list()
    [2, 10]
  """

  def __init__(
      self,
      num_classes: int,
      patch_size: int = 4,
      hidden_size: int = 64,
      num_layers: int = 4,
      num_heads: int = 4,
      mlp_size: int = 128,
      dropout_rate: float = 0.1,
      pooling: str = 'mean',
      position: str = 'learned',
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      patch_size: The side of a patch; it must divide height and width.
      hidden_size: The size of the embeddings.
      num_layers: The number of encoder blocks, at least 0.
      num_heads: The number of heads of a block, which must divide hidden_size.
      mlp_size: The size of a block's hidden layer.
      dropout_rate: Dropout in blocks and after the embedding, in [0, 1).
      pooling: The input of the head: the ``mean`` over positions, or a
        ``class_token`` that precedes the patches.
      position: ``learned``, ``sincos`` or ``none``, see
        `layers.PatchEmbedding`.
      name: Name of the module.

    Raises:
      ValueError: If a size or rate is out of range, the number of heads does
        not divide the hidden size, or a name is unknown.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.one_of('pooling', pooling, POOLINGS)
    checks.size('mlp_size', mlp_size)
    checks.rate('dropout_rate', dropout_rate)
    checks.size('hidden_size', hidden_size)
    checks.size('num_heads', num_heads)
    if hidden_size % num_heads:
      raise ValueError(
          f'num_heads: expected a divisor of the hidden size {hidden_size}, '
          f'got {num_heads}.'
      )
    checks.size('num_layers', num_layers, low=0)
    self.pooling = pooling
    self.embedding = layers.PatchEmbedding(patch_size, hidden_size, position)
    self.blocks = [
        EncoderBlock(num_heads, hidden_size, mlp_size, dropout_rate)
        for _ in range(num_layers)
    ]
    self.norm = snt.LayerNorm(-1, create_scale=True, create_offset=True)
    self.dropout = layers.Dropout(dropout_rate)
    self.output = layers.Dense(num_classes)
    self.class_token: tf.Variable | None = None

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
    x = self.embedding(inputs)  # [B, T, D]
    if self.pooling == 'class_token':
      x = tf.concat([self._class_tokens(x), x], axis=1)
    x = self.dropout(x, is_training, random.layer_seed(seed, 0))
    for index, block in enumerate(self.blocks, start=1):
      x = block(x, is_training, random.layer_seed(seed, index))
    x = self.norm(x)
    x = tf.reduce_mean(x, axis=1) if self.pooling == 'mean' else x[:, 0]
    return self.output(x)

  def _class_tokens(self, x: tf.Tensor) -> tf.Tensor:
    """Returns the class token, repeated for each example: ``[B, 1, D]``."""
    if self.class_token is None:
      initializer = snt.initializers.TruncatedNormal(stddev=0.02)
      self.class_token = tf.Variable(
          initializer([x.shape[-1]], tf.float32), name='class_token'
      )
    token = tf.cast(self.class_token, x.dtype)
    batch_size = x.shape[0] or tf.shape(x)[0]
    return tf.broadcast_to(token, [batch_size, 1, x.shape[-1]])
