"""A dense layer for sparse inputs, with a sparse gradient."""

from __future__ import annotations

import tensorflow as tf

from . import dense


class SparseDense(dense.Dense):
  """``activation(x w + b)`` for a sparse matrix ``x``, such as a bag of words.

  Constructor, variables, shapes and results are those of `Dense`. The result
  sums, per example, the rows of ``w`` that ``x`` names, times its values. So
  the gradient is a `tf.IndexedSlices` of these rows, and time and memory,
  ``num_values * output_size``, do not grow with the number of inputs.
  (``tf.sparse.sparse_dense_matmul`` needs less memory but has a dense gradient,
  ``tf.nn.embedding_lookup_sparse`` a sparse one; XLA compiles neither.)

  The step of `core.training` makes gradients dense before it sums them over
  replicas; the sparse gradient is useful in custom loops.

  Reference:
    ``torch.nn.EmbeddingBag`` with ``mode='sum'`` and per-sample weights.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> layer = layers.SparseDense(2, w_init=tf.ones)
    >>> bag = tf.sparse.from_dense([[0.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    >>> layer(bag).numpy().tolist()
    [[5.0, 5.0], [0.0, 0.0]]
  """

  def __call__(self, inputs: tf.SparseTensor | tf.Tensor) -> tf.Tensor:
    """Applies the layer.

    Args:
      inputs: A sparse matrix ``[batch_size, num_inputs]`` of floats, with
        entries in any order; duplicate entries are added up. A dense matrix is
        passed to `Dense`.

    Returns:
      A dense tensor ``[batch_size, output_size]``.

    Raises:
      ValueError: If the inputs are not a matrix, or their last size is unknown
        or differs from the layer's.
    """
    if not isinstance(inputs, tf.SparseTensor):
      return super().__call__(inputs)
    if inputs.shape.rank != 2:
      raise ValueError(
          'inputs: expected a sparse matrix [batch_size, num_inputs], got '
          f'shape {inputs.shape}.'
      )
    self.build(inputs.shape)
    rows, columns = inputs.indices[:, 0], inputs.indices[:, 1]
    weights = tf.gather(self.linear.w, columns)  # [num_values, output_size]
    values = tf.cast(inputs.values, weights.dtype)
    batch_size = inputs.shape[0] or inputs.dense_shape[0]
    outputs = tf.math.unsorted_segment_sum(
        weights * values[:, tf.newaxis], rows, batch_size
    )
    if self.linear.with_bias:
      outputs += self.linear.b
    return self.activation(outputs)
