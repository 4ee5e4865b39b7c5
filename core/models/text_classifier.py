"""A classifier of texts: embedded tokens, one vector per text, dense layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from .. import checks, layers, random
from . import model

POOLINGS = ('mean', 'attention')


class TextClassifier(model.Model):
  """Averages the embeddings of a text's tokens, then applies dense layers.

  The average is plain, or weighted by learned queries (attention). The order of
  tokens does not matter.

  Padding changes no bit of the outputs, eager or in a graph. A text that is all
  padding has the logits of a vector of zeros.

  Reference:
    Iyyer et al. 2015, Deep unordered composition rivals syntactic methods for
    text classification; `Joulin et al. 2017 <https://arxiv.org/abs/1607.01759>`_,
    Bag of tricks for efficient text classification. For attention see
    `layers.AttentionPooling`.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('text_classifier', 2, vocabulary_size=100)
    >>> short = tf.constant([[7, 42, 99], [3, 0, 0]])
    >>> long = tf.pad(short, [[0, 0], [0, 47]])
    >>> bool(tf.reduce_all(model(short, False) == model(long, False)))
    True
  """

  task = 'text classification'
  input_names = ('tokens',)
  input_dtypes: Mapping[str, tf.DType] = {
      'tokens': tf.int32,
      'lengths': tf.int32,
      'mask': tf.bool,
  }

  def __init__(
      self,
      num_classes: int,
      vocabulary_size: int = 20_000,
      embedding_size: int = 64,
      hidden_sizes: Sequence[int] = (64,),
      pooling: str = 'mean',
      num_heads: int = 4,
      activation: str = 'relu',
      dropout_rate: float = 0.0,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      vocabulary_size: The number of different tokens, including padding.
      embedding_size: The size of a token's vector.
      hidden_sizes: The size of each hidden layer.
      pooling: How to combine the vectors of a text: ``mean`` or ``attention``.
      num_heads: The number of queries, which must divide embedding_size.
      activation: A name of `layers.ACTIVATIONS`.
      dropout_rate: The rate of dropout after pooling and after each hidden
        layer, in [0, 1).
      name: Name of the module.

    Raises:
      ValueError: If a size is not positive, a name is unknown, the rate is out
        of range, or the number of heads does not divide the embedding size.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.size('vocabulary_size', vocabulary_size)
    checks.size('embedding_size', embedding_size)
    checks.sizes('hidden_sizes', hidden_sizes)
    checks.one_of('pooling', pooling, POOLINGS)
    checks.rate('dropout_rate', dropout_rate)
    checks.size('num_heads', num_heads)
    if pooling == 'attention' and embedding_size % num_heads:
      raise ValueError(
          'num_heads: expected a divisor of the embedding size '
          f'{embedding_size}, got {num_heads}.'
      )
    self.embedding = layers.Embedding(vocabulary_size, embedding_size)
    self.pool = (
        layers.masked_mean
        if pooling == 'mean'
        else layers.AttentionPooling(num_heads)
    )
    self.hidden = [layers.Dense(size, activation) for size in hidden_sizes]
    self.dropout = layers.Dropout(dropout_rate)
    self.output = layers.Dense(num_classes)

  def __call__(
      self,
      inputs: Any,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Computes logits.

    Args:
      inputs: Tokens, integers ``[batch_size, length]`` in [0, vocabulary_size),
        where 0 is padding; or ragged ones without padding; or a mapping of
        ``tokens`` and either ``lengths``, integers ``[batch_size]``, the number
        of tokens that count (all of them if above length), or ``mask``, bool
        ``[batch_size, length]``, True where a token counts. With those, 0 is an
        ordinary token, and padding may be any number. A token out of range
        raises eagerly; in a graph the text's logits are NaN.
      is_training: Whether dropout is on.
      seed: Integers ``[2]``, required in training with dropout.

    Returns:
      Logits ``[batch_size, num_classes]``.

    Raises:
      ValueError: If an input is missing, unknown or of a shape that does not
        fit or, eagerly, a token is out of range.
      TypeError: If tokens or lengths are not integers, or the mask not bool.
    """
    tokens, mask = _masked(inputs)
    vectors = self.embedding(tf.where(mask, tokens, 0))  # [B, T, D]
    x = text = self.pool(vectors, mask)  # [B, D]
    x = self.dropout(x, is_training, random.layer_seed(seed, 0))
    for index, dense in enumerate(self.hidden, start=1):
      x = dense(x)
      x = self.dropout(x, is_training, random.layer_seed(seed, index))
    return model.nan_unless_finite(text, self.output(x))


def _masked(inputs: Any) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns tokens and which of them count, both ``[batch_size, length]``."""
  if not isinstance(inputs, Mapping):
    inputs = {'tokens': inputs}
  names = set(inputs) - {'tokens'}
  if 'tokens' not in inputs or names not in (set(), {'lengths'}, {'mask'}):
    raise ValueError(
        'inputs: expected tokens, or tokens and either lengths or mask, got '
        f'{" and ".join(map(str, inputs)) or "none"}.'
    )
  tokens = inputs['tokens']
  if isinstance(tokens, tf.RaggedTensor):
    if names:
      raise ValueError(
          f'inputs: ragged tokens have their own lengths, got {names.pop()} '
          'as well.'
      )
    inputs = {'tokens': tokens.to_tensor(), 'lengths': tokens.row_lengths()}
  tokens = tf.convert_to_tensor(inputs['tokens'])
  checks.integers('tokens', tokens)
  checks.rank('tokens', tokens, 2)
  batch_size, length = checks.sizes_of(tokens)
  if 'mask' in inputs:
    mask = tf.convert_to_tensor(inputs['mask'])
    if mask.dtype != tf.bool:
      raise TypeError(
          'mask: expected bool, True where a token counts, got '
          f'{mask.dtype.name}.'
      )
    return tokens, checks.shape('mask', mask, [batch_size, length])
  if 'lengths' in inputs:
    lengths = tf.convert_to_tensor(inputs['lengths'])
    checks.integers('lengths', lengths)
    lengths = checks.shape('lengths', lengths, [batch_size])
    return tokens, tf.sequence_mask(lengths, length)
  return tokens, tf.not_equal(tokens, 0)
