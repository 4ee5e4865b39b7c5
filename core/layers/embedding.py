"""Learned vectors for integers: categories, words, tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, deprecation


@deprecation.renamed_arguments(
    vocabulary_size='vocab_size', embedding_size='embed_dim'
)
class Embedding(snt.Module):
  """``table[ids]``: a learned vector for each integer.

  Unlike ``snt.Embed``, the layer creates its table in `build`. An id out of
  range raises eagerly and gives NaN in a graph, on every device; TensorFlow
  itself raises on CPUs, returns zeros on GPUs and another row under XLA.

  Reference:
    ``snt.Embed``; Bengio et al. 2003, A neural probabilistic language model,
    section 2: the matrix C.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> embedding = layers.Embedding(vocab_size=9, embed_dim=4)
    >>> embedding(tf.constant([[3, 8, 0]])).shape.as_list()
    [1, 3, 4]
  """

  def __init__(
      self,
      vocab_size: int,
      embed_dim: int,
      *,
      initializer: snt.initializers.Initializer | None = None,
      name: str | None = None,
  ):
    """Constructs the layer.

    Args:
      vocab_size: The number of rows, at least 1.
      embed_dim: The size of a row, at least 1.
      initializer: Initializer of the table, ``[vocab_size, embed_dim]``. The
        default is that of ``snt.Embed``, a normal distribution with standard
        deviation 1, truncated at two deviations.
      name: Name of the module.

    Raises:
      ValueError: If a size is not positive.
    """
    super().__init__(name=name)
    checks.size('vocab_size', vocab_size)
    checks.size('embed_dim', embed_dim)
    self.vocab_size = vocab_size
    self.embed_dim = embed_dim
    self.initializer = initializer or snt.initializers.TruncatedNormal()
    self.table: tf.Variable | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the table; any size may be unknown."""
    self.output_shape(input_shape)
    if self.table is None:
      shape = [self.vocab_size, self.embed_dim]
      self.table = tf.Variable(
          self.initializer(shape, tf.float32), name='table'
      )

  def __call__(self, ids: tf.Tensor) -> tf.Tensor:
    """Looks up rows.

    Args:
      ids: Integers ``[batch_size, ...]`` in [0, vocab_size).

    Returns:
      A tensor ``[batch_size, ..., embed_dim]``.

    Raises:
      TypeError: If the ids are not integers.
      ValueError: If there is no batch axis or, eagerly, an id is out of range.
    """
    ids = tf.convert_to_tensor(ids)
    checks.integers('ids', ids)
    self.build(ids.shape)
    if ids.dtype != tf.int32:
      ids = tf.cast(ids, tf.int64)  # int8 could not be compared with the size.
    is_known = (ids >= 0) & (ids < self.vocab_size)
    if tf.executing_eagerly() and not bool(tf.reduce_all(is_known)):
      wrong = ids[~is_known]
      raise ValueError(
          f'ids: expected integers in [0, {self.vocab_size}), got '
          f'{int(wrong[0])}.'
      )
    rows = tf.gather(self.table, tf.where(is_known, ids, 0))
    nan = tf.constant(math.nan, rows.dtype)
    return tf.where(is_known[..., tf.newaxis], rows, nan)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns ``[batch_size, ..., embed_dim]``."""
    if not len(input_shape):
      raise ValueError('input_shape: expected [batch_size, ...], got ().')
    return (*input_shape, self.embed_dim)
