"""Clipping of gradients: by value, by norm, and by the parameters' norms."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from .. import checks
from . import nests, transformation


def clip(max_delta: float) -> transformation.GradientTransformation:
  """Clips every element to [-max_delta, max_delta].

  Args:
    max_delta: The largest absolute value, positive.

  Returns:
    A stateless transformation.

  Raises:
    ValueError: If `max_delta` is not positive.

  Reference:
    ``optax.clip``.

  Example:
    >>> from core import optimizers
    >>> w = {'w': tf.constant([3.0, -4.0])}
    >>> optimizers.clip(1.0).update(w, (), w)[0]['w'].numpy().tolist()
    [1.0, -1.0]
  """
  checks.positive('max_delta', max_delta)

  def limit(gradient: tf.Tensor) -> tf.Tensor:
    delta = nests.scalar(max_delta, gradient.dtype)
    return tf.clip_by_value(gradient, -delta, delta)

  return transformation.stateless(
      lambda gradients, parameters: tf.nest.map_structure(limit, gradients)
  )


def _limit(gradient: tf.Tensor, norm: tf.Tensor, max_norm: float) -> tf.Tensor:
  """Scales down a gradient whose norm exceeds max_norm."""
  norm = tf.cast(norm, gradient.dtype)
  limit = nests.scalar(max_norm, gradient.dtype)
  return tf.where(norm < limit, gradient, gradient / norm * limit)


def clip_by_norm(max_norm: float) -> transformation.GradientTransformation:
  """Scales down each tensor to a maximum Euclidean norm.

  Args:
    max_norm: The maximum norm of each gradient tensor, positive.

  Returns:
    A stateless transformation.

  Raises:
    ValueError: If `max_norm` is not positive.

  Reference:
    `On the difficulty of training recurrent neural networks
    <https://arxiv.org/abs/1211.5063>`_, algorithm 1, per tensor.

  Example:
    >>> from core import optimizers
    >>> w = {'w': tf.constant([3.0, 4.0]), 'b': tf.constant(0.5)}
    >>> clipped, _ = optimizers.clip_by_norm(1.0).update(w, (), w)
    >>> [round(float(u), 4) for u in clipped['w']], float(clipped['b'])
    ([0.6, 0.8], 0.5)
  """
  checks.positive('max_norm', max_norm)
  return transformation.stateless(
      lambda gradients, parameters: tf.nest.map_structure(
          lambda gradient: _limit(gradient, tf.norm(gradient), max_norm),
          gradients,
      )
  )


def clip_by_global_norm(
    max_norm: float,
) -> transformation.GradientTransformation:
  """Scales down all tensors together to a maximum Euclidean norm.

  Args:
    max_norm: The maximum `global_norm` of the gradients, positive.

  Returns:
    A stateless transformation.

  Raises:
    ValueError: If `max_norm` is not positive.

  Reference:
    `On the difficulty of training recurrent neural networks
    <https://arxiv.org/abs/1211.5063>`_, algorithm 1;
    ``optax.clip_by_global_norm``.

  Example:
    >>> from core import optimizers
    >>> w = {'w': tf.constant(3.0), 'b': tf.constant(4.0)}
    >>> clipped, _ = optimizers.clip_by_global_norm(1.0).update(w, (), w)
    >>> round(float(clipped['w']), 4), round(float(clipped['b']), 4)
    (0.6, 0.8)
  """
  checks.positive('max_norm', max_norm)

  def function(gradients: nests.Nest, parameters: nests.Nest) -> nests.Nest:
    norm = transformation.global_norm(gradients)
    return tf.nest.map_structure(
        lambda gradient: _limit(gradient, norm, max_norm), gradients
    )

  return transformation.stateless(function)


def clip_by_block_rms(
    threshold: float,
) -> transformation.GradientTransformation:
  """Scales down each tensor to a maximum root mean square.

  Args:
    threshold: The maximum root mean square of each tensor, positive.

  Returns:
    A stateless transformation.

  Raises:
    ValueError: If `threshold` is not positive.

  Reference:
    `Adafactor <https://arxiv.org/abs/1804.04235>`_, section 6;
    ``optax.clip_by_block_rms``.

  Example:
    >>> from core import optimizers
    >>> w = {'w': tf.constant([4.0, -4.0])}
    >>> clipped, _ = optimizers.clip_by_block_rms(1.0).update(w, (), w)
    >>> clipped['w'].numpy().tolist()
    [1.0, -1.0]
  """
  checks.positive('threshold', threshold)

  def limit(gradient: tf.Tensor) -> tf.Tensor:
    size = tf.sqrt(tf.reduce_mean(tf.square(gradient)))
    largest = nests.scalar(threshold, gradient.dtype)
    return gradient / tf.maximum(size / largest, 1)

  return transformation.stateless(
      lambda gradients, parameters: tf.nest.map_structure(limit, gradients)
  )


def _unitwise_norm(
    tensor: tf.Tensor, axis: int | Sequence[int] | None
) -> tf.Tensor:
  """Returns the norm of the weights of each unit, with axes of size 1."""
  rank = tensor.shape.rank
  if axis is None and sum(size != 1 for size in tensor.shape) > 1:
    # Matrices and stacks of them have inputs first, filters have outputs last.
    axes = {2: [0], 3: [0], 4: [0, 1, 2], 5: [0, 1, 2, 3]}
    if rank not in axes:
      raise ValueError(
          f'axis: expected the axes to sum over for a parameter of rank {rank},'
          ' got None.'
      )
    axis = axes[rank]
  return tf.sqrt(tf.reduce_sum(tf.square(tensor), axis, keepdims=True))


def adaptive_grad_clip(
    clipping: float,
    eps: float = 1e-3,
    axis: int | Sequence[int] | None = None,
) -> transformation.GradientTransformation:
  r"""Limits each unit's gradient to a fraction of the norm of its weights.

  .. math::
    \|g_i\| \le \lambda \max(\|w_i\|, \epsilon)

  Args:
    clipping: The fraction :math:`\lambda`, positive.
    eps: The minimum norm :math:`\epsilon` of weights, so that weights that
      start at zero can change.
    axis: The axes of one unit. Default: all of scalars and vectors, the first
      of matrices and rank 3, all but the last of filters.

  Returns:
    A stateless transformation.

  Raises:
    ValueError: If `clipping` or `eps` is not positive; from `update`, if a
      parameter has a rank above 5 and `axis` is None.

  Reference:
    `High-performance image recognition without normalization
    <https://arxiv.org/abs/2102.06171>`_, equation 3;
    ``optax.adaptive_grad_clip``.

  Example:
    >>> from core import optimizers
    >>> w, gradients = {'w': tf.constant([3.0, 4.0])}, {'w': tf.ones([2])}
    >>> clipped, _ = optimizers.adaptive_grad_clip(0.2).update(
    ...     gradients, (), w)
    >>> round(float(optimizers.global_norm(clipped)), 4)
    1.0
  """
  checks.positive('clipping', clipping)
  checks.positive('eps', eps)

  def limit(gradient: tf.Tensor, parameter: tf.Tensor) -> tf.Tensor:
    norm, size = (_unitwise_norm(t, axis) for t in (gradient, parameter))
    size = tf.maximum(size, nests.scalar(eps, size.dtype))
    max_norm = nests.times(clipping, size)
    clipped = gradient * (max_norm / tf.maximum(norm, 1e-6))
    return tf.where(norm < max_norm, gradient, clipped)

  return transformation.stateless(
      lambda gradients, parameters: tf.nest.map_structure(
          limit, gradients, parameters
      )
  )
