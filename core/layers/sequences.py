"""Vectors for sequences that do not depend on the padding, to the bit.

A sum over positions is rounded in an order that depends on their number, so the
mean of a sentence padded to 50 words differs slightly from that of the same
sentence padded to 10. Here the positions are padded to a power of two and the
second half is added to the first, down to one: zeros at the end add only zeros,
and the other additions stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks

# Halvings if the number of positions is unknown: enough for 65,536.
_MOST_HALVINGS = 16
# Kernels may compute differently at the end of an array that does not fill a
# processor's register; a multiple of this many positions does.
_REGISTER = 16


def masked_mean(inputs: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
  r"""Averages over the positions of a sequence that count.

  .. math::
    \frac{\sum_t m_t x_t}{\sum_t m_t}

  Args:
    inputs: float ``[batch_size, length, ...]``; a length that is unknown while
      tracing is at most 65,536. Where the mask is False, inputs may hold NaN
      and infinities, which change no bit of the result or a gradient.
    mask: bool ``[batch_size, length]``, True where a position counts.

  Returns:
    ``[batch_size, ...]``, the same to the bit for any number of masked
    positions at the end; zeros if no position counts.

  Raises:
    TypeError: If the mask is not bool.
    ValueError: If the shapes do not fit.

  Reference:
    Iyyer et al. 2015, Deep unordered composition rivals syntactic methods for
    text classification, equation 1.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> x = tf.constant([[[1.0], [3.0], [7.0]]])
    >>> layers.masked_mean(x, tf.constant([[True, True, False]])).numpy().item()
    2.0
  """
  inputs = tf.convert_to_tensor(inputs)
  x, mask = _counted(inputs, mask)
  count = tf.reduce_sum(tf.cast(mask, x.dtype), axis=1)  # Exact in any order.
  mean = tf.math.divide_no_nan(_sum(x), _of_rank(x.shape.rank - 1, count))
  return tf.cast(mean, inputs.dtype)


class AttentionPooling(snt.Module):
  r"""Averages over positions with weights computed by a learned query.

  With the query :math:`q_n` and the part :math:`x_{tn}` of a position's vector
  that belongs to head n, both of size d:

  .. math::
    a_{tn} = \mathrm{softmax}_t(q_n \cdot x_{tn} / \sqrt{d}), \qquad
    y_n = \sum_t a_{tn} x_{tn}

  Queries are initialized to zero, which makes this `masked_mean`.

  Reference:
    Yang et al. 2016, Hierarchical attention networks for document
    classification, equations 6 and 7; with heads as in `Lee et al. 2019
    <https://arxiv.org/abs/1810.00825>`_, Set transformer, equation 11, without
    its linear maps.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> pooling = layers.AttentionPooling(num_heads=2)
    >>> mask = tf.sequence_mask([5, 3, 0], 5)
    >>> pooling(tf.ones([3, 5, 8]), mask).shape.as_list()
    [3, 8]
  """

  def __init__(self, num_heads: int = 1, name: str | None = None):
    """Constructs the layer.

    Args:
      num_heads: The number of heads, which must divide the size of the vectors.
      name: Name of the module.

    Raises:
      ValueError: If the number of heads is not positive.
    """
    super().__init__(name=name)
    checks.size('num_heads', num_heads)
    self.num_heads = num_heads
    self.query: tf.Variable | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the queries; only the last size must be known."""
    _, size = self.output_shape(input_shape)
    if self.query is None:
      shape = [self.num_heads, size // self.num_heads]
      self.query = tf.Variable(tf.zeros(shape), name='query')

  def __call__(self, inputs: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Applies the layer.

    Args:
      inputs: float ``[batch_size, length, size]``, see `masked_mean`.
      mask: bool ``[batch_size, length]``, True where a position counts.

    Returns:
      ``[batch_size, size]``, independent of padding as in `masked_mean`.

    Raises:
      TypeError: If the mask is not bool.
      ValueError: If a shape or num_heads does not fit.
    """
    inputs = tf.convert_to_tensor(inputs)
    self.build(inputs.shape)
    x, mask = _counted(inputs, mask)
    lack = -checks.sizes_of(x)[1] % _REGISTER
    x, mask = _padded(x, lack, 1), _padded(mask, lack, 1)
    batch_size, length, size = checks.sizes_of(x)
    heads = tf.reshape(
        x, [batch_size, length, self.num_heads, size // self.num_heads]
    )  # [B, T, N, D]
    # TF Lite lacks strided slices of bools, such as `mask[..., tf.newaxis]`.
    mask = tf.expand_dims(mask, -1)  # [B, T, 1]
    query = tf.cast(self.query, x.dtype)
    scores = _sum(heads * query, axis=3)  # [B, T, N]
    scores *= tf.cast(heads.shape[-1], x.dtype) ** -0.5
    # Padding gets the minimum score: a constant far below it would leave int8
    # no resolution for the others.
    least = tf.reduce_min(tf.stop_gradient(scores), axis=1, keepdims=True)
    scores = tf.where(mask, scores, least)
    scores -= tf.stop_gradient(tf.reduce_max(scores, axis=1, keepdims=True))
    shares = tf.where(mask, tf.exp(scores), tf.zeros([], x.dtype))
    pooled = tf.math.divide_no_nan(
        _sum(shares[..., tf.newaxis] * heads), _sum(shares)[..., tf.newaxis]
    )  # [B, N, D]
    return tf.cast(tf.reshape(pooled, [batch_size, size]), inputs.dtype)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns ``[batch_size, size]``."""
    if len(input_shape) != 3 or input_shape[-1] is None:
      raise ValueError(
          'input_shape: expected [batch_size, length, size] with size known, '
          f'got {tuple(input_shape)}.'
      )
    size = input_shape[-1]
    if size % self.num_heads:
      raise ValueError(
          f'input_shape: expected a size divisible by {self.num_heads} heads, '
          f'got {tuple(input_shape)}.'
      )
    built = size if self.query is None else self.query.shape.num_elements()
    if built != size:
      raise ValueError(
          f'input_shape: the layer was built for size {built}, got '
          f'{tuple(input_shape)}.'
      )
    return (input_shape[0], size)


def _counted(inputs: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns inputs, in float32 or float64 and 0 where masked, and the mask."""
  if inputs.shape.rank is None or inputs.shape.rank < 2:
    raise ValueError(
        f'inputs: expected [batch_size, length, ...], got {inputs.shape}.'
    )
  mask = tf.convert_to_tensor(mask)
  if mask.dtype != tf.bool:
    raise TypeError(
        'mask: expected bool, True where a position counts, got '
        f'{mask.dtype.name}.'
    )
  mask = checks.shape('mask', mask, checks.sizes_of(inputs)[:2])
  wide = tf.float64 if inputs.dtype == tf.float64 else tf.float32
  is_counted = _of_rank(inputs.shape.rank, mask)
  return tf.where(is_counted, tf.cast(inputs, wide), tf.zeros([], wide)), mask


def _of_rank(rank: int, x: tf.Tensor) -> tf.Tensor:
  """Appends axes of size 1."""
  while x.shape.rank < rank:
    x = tf.expand_dims(x, -1)
  return x


def _sum(x: tf.Tensor, axis: int = 1) -> tf.Tensor:
  """Sums over an axis, halving a power of two of positions at each step."""
  length = x.shape[axis]
  if length is None:
    num_halvings, length = _MOST_HALVINGS, tf.shape(x)[axis]
    powers = 2 ** tf.range(_MOST_HALVINGS)
    half = tf.reduce_min(tf.where(2 * powers >= length, powers, powers[-1]))
  else:
    num_halvings = max(length - 1, 1).bit_length()
    half = 2 ** (num_halvings - 1)
  x = _padded(x, 2 * half - length, axis)
  for _ in range(num_halvings):
    if x.shape[axis] is None:
      x = _padded(x, tf.shape(x)[axis] % 2, axis)  # 1 is odd.
    first, second = tf.split(x, 2, axis)
    x = first + second
  return tf.squeeze(x, axis)


def _padded(x: tf.Tensor, lack: int | tf.Tensor, axis: int) -> tf.Tensor:
  """Appends zeros, or False, to an axis."""
  if not tf.is_tensor(lack) and not lack:
    return x
  paddings = [[0, 0] for _ in range(x.shape.rank)]
  paddings[axis] = [0, lack]
  return tf.pad(x, paddings)
