"""Attention over sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks
from . import dense, dropout

Shape = Sequence[int | None]


class MultiHeadAttention(snt.Module):
  r"""Lets each position of a sequence attend to those of another, or its own.

  .. math::
    A_n = \mathrm{softmax}(q_n k_n^T / \sqrt{d}) \, v_n, \qquad
    y = [A_1, ..., A_N] \, w_o + b_o

  where queries, keys and values :math:`q_n, k_n, v_n` are linear maps of the
  inputs, one per head. The keys have no bias: it would add the same number to
  all logits of a query, which does not change their softmax.

  Reference:
    `Vaswani et al. 2017 <https://arxiv.org/abs/1706.03762>`_, section 3.2.2.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> attention = layers.MultiHeadAttention(num_heads=2, key_size=8)
    >>> attention(tf.ones([3, 5, 16])).shape.as_list()
    [3, 5, 16]
  """

  def __init__(
      self,
      num_heads: int,
      key_size: int,
      *,
      value_size: int | None = None,
      output_size: int | None = None,
      dropout_rate: float = 0.0,
      with_bias: bool = True,
      w_init: snt.initializers.Initializer | None = None,
      name: str | None = None,
  ):
    """Constructs the layer.

    Args:
      num_heads: The number of heads, at least 1.
      key_size: The size of each head's queries and keys, at least 1.
      value_size: The size of each head's values. Default: key_size.
      output_size: The last size of the outputs. Default: that of the queries.
      dropout_rate: The rate of dropout of attention weights, in [0, 1).
      with_bias: Whether queries, values and outputs have a bias.
      w_init: Initializer of all matrices. Default: that of `layers.Dense`.
      name: Name of the module.

    Raises:
      ValueError: If a size is not positive or the rate is out of range.
    """
    super().__init__(name=name)
    value_size = key_size if value_size is None else value_size
    sizes = {
        'num_heads': num_heads,
        'key_size': key_size,
        'value_size': value_size,
        'output_size': 1 if output_size is None else output_size,
    }
    for argument, size in sizes.items():
      checks.size(argument, size)
    checks.rate('dropout_rate', dropout_rate)
    self.num_heads = num_heads
    self.key_size = key_size
    self.value_size = value_size
    self.output_size = output_size
    self.dropout = dropout.Dropout(dropout_rate)
    options = {'with_bias': with_bias, 'w_init': w_init}
    self.query = dense.Dense(num_heads * key_size, **options)
    self.key = dense.Dense(num_heads * key_size, with_bias=False, w_init=w_init)
    self.value = dense.Dense(num_heads * value_size, **options)
    self.output: dense.Dense | None = None
    if output_size is not None:
      self.output = dense.Dense(output_size, **options)
    self._options = options

  def build(
      self,
      query_shape: Shape,
      key_shape: Shape | None = None,
      value_shape: Shape | None = None,
  ) -> None:
    """Creates the variables for inputs ``[batch_size, length, size]``.

    Only the last sizes must be known. Default: query_shape for the keys, and
    key_shape for the values.
    """
    key_shape = query_shape if key_shape is None else key_shape
    value_shape = key_shape if value_shape is None else value_shape
    *leading, output_size = self.output_shape(
        query_shape, key_shape, value_shape
    )
    self.query.build(query_shape)
    self.key.build(key_shape)
    self.value.build(value_shape)
    if self.output is None:
      self.output = dense.Dense(output_size, **self._options)
    self.output.build([*leading, self.num_heads * self.value_size])

  def __call__(
      self,
      query: tf.Tensor,
      key: tf.Tensor | None = None,
      value: tf.Tensor | None = None,
      *,
      mask: tf.Tensor | None = None,
      is_training: bool = False,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Applies the layer.

    Args:
      query: float ``[batch_size, num_queries, size]``.
      key: float ``[batch_size, num_keys, size]``. Default: the query.
      value: float ``[batch_size, num_keys, size]``. Default: the key.
      mask: bool, True where a query may attend: ``[num_queries, num_keys]``,
        ``[batch_size, num_queries, num_keys]``, or with the heads as a second
        axis of four; axes of size 1 are broadcast. A query that may not attend
        to anything gets zeros. Positions that no query may attend to may hold
        NaN and infinities: they change no bit of any result or gradient. A
        query gets NaN if it, or a position it may attend to, is not finite.
      is_training: Whether dropout is on.
      seed: Integers ``[2]``, required in training with dropout.

    Returns:
      A tensor ``[batch_size, num_queries, output_size]``.

    Raises:
      ValueError: If a rank or a size does not fit.
      TypeError: If the mask is not bool.
    """
    query = tf.convert_to_tensor(query)
    key = query if key is None else tf.convert_to_tensor(key)
    value = key if value is None else tf.convert_to_tensor(value)
    self.output_shape(query.shape, key.shape, value.shape)
    batch_size, num_queries, _ = checks.sizes_of(query)
    if key is not query:
      key = checks.shape('key', key, [batch_size, None, None])
    num_keys = checks.sizes_of(key)[1]
    if value is not key:
      value = checks.shape('value', value, [batch_size, num_keys, None])
    if self.output is None:
      self.build(query.shape, key.shape, value.shape)
    if mask is not None:
      sizes = [batch_size, self.num_heads, num_queries, num_keys]
      mask = _four_axes(mask, sizes)
      query, key, value, is_poisoned = _without_garbage(query, key, value, mask)
    q = self._split_heads(self.query(query))  # [B, N, T, K]
    k = self._split_heads(self.key(key))  # [B, N, S, K]
    v = self._split_heads(self.value(value))  # [B, N, S, V]
    logits = tf.matmul(q * self.key_size**-0.5, k, transpose_b=True)
    if logits.dtype in (tf.bfloat16, tf.float16):
      logits = tf.cast(logits, tf.float32)
    weights = _masked_softmax(logits, mask)  # [B, N, T, S]
    weights = self.dropout(weights, is_training, seed)
    heads = tf.matmul(tf.cast(weights, v.dtype), v)
    heads = tf.transpose(heads, [0, 2, 1, 3])  # [B, T, N, V]
    joined = [batch_size, num_queries, self.num_heads * self.value_size]
    outputs = self.output(tf.reshape(heads, joined))
    if mask is None:
      return outputs
    return tf.where(is_poisoned, tf.constant(math.nan, outputs.dtype), outputs)

  def _split_heads(self, x: tf.Tensor) -> tf.Tensor:
    """Reshapes ``[B, T, N K]`` to ``[B, N, T, K]``."""
    batch_size, length = (x.shape[axis] or tf.shape(x)[axis] for axis in (0, 1))
    size = x.shape[-1] // self.num_heads
    x = tf.reshape(x, [batch_size, length, self.num_heads, size])
    return tf.transpose(x, [0, 2, 1, 3])

  def output_shape(
      self,
      query_shape: Shape,
      key_shape: Shape | None = None,
      value_shape: Shape | None = None,
  ) -> tuple[int | None, ...]:
    """Returns ``[batch_size, num_queries, output_size]``."""
    shapes = {
        'query_shape': query_shape,
        'key_shape': query_shape if key_shape is None else key_shape,
    }
    shapes['value_shape'] = (
        shapes['key_shape'] if value_shape is None else value_shape
    )
    for argument, shape in shapes.items():
      if len(shape) != 3 or shape[-1] is None:
        raise ValueError(
            f'{argument}: expected [batch_size, length, size] with size known, '
            f'got {tuple(shape)}.'
        )
    num_keys, num_values = shapes['key_shape'][1], shapes['value_shape'][1]
    if None not in (num_keys, num_values) and num_keys != num_values:
      raise ValueError(
          f'value_shape: expected the length of the keys, {num_keys}, got '
          f'{tuple(shapes["value_shape"])}.'
      )
    output_size = (
        query_shape[-1] if self.output is None else self.output.output_size
    )
    return (*query_shape[:2], output_size)


def _four_axes(mask: tf.Tensor, sizes: Shape) -> tf.Tensor:
  """Returns a mask of four axes, of the sizes ``[B, N, T, S]`` or 1."""
  mask = tf.convert_to_tensor(mask)
  if mask.dtype != tf.bool:
    raise TypeError(
        'mask: expected bool, True where a query may attend, got '
        f'{mask.dtype.name}.'
    )
  checks.rank('mask', mask, {2, 3, 4})
  if mask.shape.rank == 2:
    mask = mask[tf.newaxis]
  if mask.shape.rank == 3:
    mask = mask[:, tf.newaxis]
  known = [size if isinstance(size, int) else None for size in sizes]
  for actual, expected in zip(mask.shape, known, strict=True):
    if None not in (actual, expected) and actual not in (1, expected):
      raise ValueError(
          'mask: expected [batch_size, num_heads, num_queries, num_keys], '
          f'{known}, optionally without heads or batch, got {mask.shape}.'
      )
  wanted = [
      1 if actual == 1 else size
      for actual, size in zip(mask.shape, sizes, strict=True)
  ]
  wanted = [  # A size that is unknown while tracing may be 1, too.
      tf.where(actual == 1, 1, size) if tf.is_tensor(actual) else size
      for actual, size in zip(checks.sizes_of(mask), wanted, strict=True)
  ]
  return checks.shape('mask', mask, wanted)


def _without_garbage(
    query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, mask: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
  """Zeroes positions that are not finite or that no query may attend to.

  A weight of 0 does not stop NaN in a product, nor in the gradients.

  Returns:
    Queries, keys and values, and which queries ``[B, T, 1]`` get NaN.
  """
  finite_query, finite_key, finite_value = (
      tf.reduce_all(tf.math.is_finite(x), axis=-1, keepdims=True)
      for x in (query, key, value)
  )
  looks = tf.reduce_any(mask, axis=1)  # [B, T, S]
  is_seen = tf.reduce_any(looks, axis=1)[..., tf.newaxis]  # [B, S, 1]
  is_bad_key = tf.transpose(~(finite_key & finite_value), [0, 2, 1])
  is_poisoned = tf.reduce_any(looks & is_bad_key, axis=-1, keepdims=True)
  is_poisoned |= tf.reduce_any(looks, axis=-1, keepdims=True) & ~finite_query
  query, key, value = (
      tf.where(is_finite, x, tf.zeros_like(x))
      for is_finite, x in (
          (finite_query, query),
          (finite_key & is_seen, key),
          (finite_value & is_seen, value),
      )
  )
  return query, key, value, is_poisoned


def _masked_softmax(logits: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
  """Computes attention weights ``[B, N, T, S]``, 0 where the mask is False."""
  if mask is None:
    return tf.nn.softmax(logits)
  weights = tf.nn.softmax(tf.where(mask, logits, logits.dtype.min))
  return tf.where(mask, weights, tf.zeros([], weights.dtype))
