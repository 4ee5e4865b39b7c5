"""Clipping of gradients: by value, by norm, and by the parameters' norms."""

from __future__ import annotations

import tensorflow as tf

from . import nests, transformation


def _check_positive(argument: str, value: float) -> None:
  if not value > 0:
    raise ValueError(f'{argument}: expected a positive number, got {value}.')


def clip(max_delta: float) -> transformation.GradientTransformation:
  """Clips every element to [-max_delta, max_delta].

  Args:
    max_delta: The largest absolute value, positive.

  Returns:
    A transformation without a state.

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
  _check_positive('max_delta', max_delta)
  return transformation.stateless(
      lambda gradients, parameters: tf.nest.map_structure(
          lambda gradient: tf.clip_by_value(gradient, -max_delta, max_delta),
          gradients,
      )
  )


def _limit(
    gradient: tf.Tensor, norm: tf.Tensor, max_norm: float
) -> tf.Tensor:
  """Scales a gradient so that a norm above max_norm becomes max_norm."""
  norm = tf.cast(norm, gradient.dtype)
  return tf.where(norm < max_norm, gradient, gradient / norm * max_norm)


def clip_by_norm(max_norm: float) -> transformation.GradientTransformation:
  """Scales each tensor down to a Euclidean norm.

  Args:
    max_norm: The largest norm of each tensor of the gradients, positive.

  Returns:
    A transformation without a state.

  Raises:
    ValueError: If `max_norm` is not positive.

  Reference:
    `On the difficulty of training recurrent neural networks
    <https://arxiv.org/abs/1211.5063>`_, algorithm 1, for each tensor.

  Example:
    >>> from core import optimizers
    >>> w = {'w': tf.constant([3.0, 4.0]), 'b': tf.constant(0.5)}
    >>> clipped, _ = optimizers.clip_by_norm(1.0).update(w, (), w)
    >>> [round(float(u), 4) for u in clipped['w']], float(clipped['b'])
    ([0.6, 0.8], 0.5)
  """
  _check_positive('max_norm', max_norm)
  return transformation.stateless(
      lambda gradients, parameters: tf.nest.map_structure(
          lambda gradient: _limit(gradient, tf.norm(gradient), max_norm),
          gradients,
      )
  )


def clip_by_global_norm(
    max_norm: float,
) -> transformation.GradientTransformation:
  """Scales all tensors together down to a Euclidean norm.

  Args:
    max_norm: The largest `global_norm` of the gradients, positive.

  Returns:
    A transformation without a state.

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
  _check_positive('max_norm', max_norm)

  def function(gradients: nests.Nest, parameters: nests.Nest) -> nests.Nest:
    norm = transformation.global_norm(gradients)
    return tf.nest.map_structure(
        lambda gradient: _limit(gradient, norm, max_norm), gradients
    )

  return transformation.stateless(function)
