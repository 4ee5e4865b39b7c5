"""Penalties on parameters: ``[]`` for any nest of tensors.

Every replica holds all parameters: add a penalty once to the global mean loss,
not once per replica. For penalties that depend on examples, see `regularizers`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from . import arguments, numerics


def l1_penalty(tensors: Any, *, scale: float = 1.0) -> tf.Tensor:
  r"""Computes the scaled sum of absolute values.

  .. math:: \lambda \sum_i |w_i|

  Args:
    tensors: A nest of floating point tensors or variables of any shapes.
    scale: The factor :math:`\lambda`, >= 0.

  Returns:
    ``[]``; 0 for an empty nest.

  Raises:
    ValueError: If the scale is negative.

  Reference:
    ``keras.regularizers.L1``.

  Example:
    >>> from core import losses
    >>> float(losses.l1_penalty({'w': [1.0, -2.0], 'b': [3.0]}, scale=0.5))
    3.0
  """
  arguments.not_negative('scale', scale)
  total = _sum(tf.reduce_sum(tf.abs(t)) for t in _floats(tensors))
  return numerics.times(total, scale)


def l2_penalty(tensors: Any, *, scale: float = 1.0) -> tf.Tensor:
  r"""Computes the scaled sum of squares.

  .. math:: \lambda \sum_i w_i^2

  There is no factor of one half: the gradient is :math:`2 \lambda w`, as in
  Keras and Sonnet (``tf.nn.l2_loss`` and Optax's ``l2_loss`` halve).

  Args:
    tensors: A nest of floating point tensors or variables of any shapes.
    scale: The factor :math:`\lambda`, >= 0.

  Returns:
    ``[]``; 0 for an empty nest.

  Raises:
    ValueError: If the scale is negative.

  Reference:
    ``keras.regularizers.L2``.

  Example:
    >>> from core import losses
    >>> float(losses.l2_penalty({'w': [1.0, -2.0], 'b': [3.0]}, scale=0.5))
    7.0
  """
  arguments.not_negative('scale', scale)
  total = _sum(tf.reduce_sum(t**2) for t in _floats(tensors))
  return numerics.times(total, scale)


def elastic_net_penalty(tensors: Any, *, l1: float, l2: float) -> tf.Tensor:
  r"""Computes the weighted sum of absolute values and squares.

  .. math:: \lambda_1 \sum_i |w_i| + \lambda_2 \sum_i w_i^2

  Args:
    tensors: A nest of floating point tensors or variables of any shapes.
    l1: The factor of the absolute values, >= 0.
    l2: The factor of the squares, >= 0.

  Returns:
    ``[]``; 0 for an empty nest.

  Raises:
    ValueError: If a factor is negative.

  Reference:
    Zou and Hastie, `Regularization and Variable Selection via the Elastic Net
    <https://doi.org/10.1111/j.1467-9868.2005.00503.x>`_, 2005, equation 3.

  Example:
    >>> from core import losses
    >>> float(losses.elastic_net_penalty([1.0, -2.0], l1=1.0, l2=0.5))
    5.5
  """
  arguments.not_negative('l1', l1)
  arguments.not_negative('l2', l2)
  return l1_penalty(tensors, scale=l1) + l2_penalty(tensors, scale=l2)


def orthogonality_penalty(tensors: Any, *, scale: float = 1.0) -> tf.Tensor:
  r"""Computes how far matrices are from having orthonormal columns.

  .. math:: \lambda \sum_W \lVert W^\top W - I \rVert_F^2

  A filter ``[height, width, inputs, outputs]`` is the matrix ``[height * width
  * inputs, outputs]``. A matrix with more columns than rows is transposed: its
  columns cannot all be orthogonal, its rows can.

  Args:
    tensors: A nest of floating point tensors or variables of rank >= 2.
    scale: The factor :math:`\lambda`, >= 0.

  Returns:
    ``[]``; 0 for an empty nest.

  Raises:
    ValueError: If the scale is negative, or a shape has rank < 2 or is unknown.

  Reference:
    Brock et al., `Neural Photo Editing with Introspective Adversarial Networks
    <https://arxiv.org/abs/1609.07093>`_, 2016, section 3.3; here squared, as
    in Bansal et al., `<https://arxiv.org/abs/1810.09102>`_, 2018, equation 1.

  Example:
    >>> import tensorflow as tf
    >>> from core import losses
    >>> float(losses.orthogonality_penalty(2.0 * tf.eye(3)))
    27.0
  """
  arguments.not_negative('scale', scale)
  total = _sum(map(_distance_from_orthonormal, _floats(tensors)))
  return numerics.times(total, scale)


def _distance_from_orthonormal(tensor: tf.Tensor) -> tf.Tensor:
  if not tensor.shape.is_fully_defined() or tensor.shape.rank < 2:
    raise ValueError(
        'tensors: expected matrices or filters of known shape, got shape '
        f'{tensor.shape}; leave out biases and scales.'
    )
  matrix = tf.reshape(tensor, [-1, tensor.shape[-1]])
  wide = matrix.shape[0] < matrix.shape[1]
  gram = tf.matmul(matrix, matrix, transpose_a=not wide, transpose_b=wide)
  identity = tf.eye(tf.shape(gram)[0], dtype=gram.dtype)
  return tf.reduce_sum((gram - identity) ** 2)


def _floats(tensors: Any) -> list[tf.Tensor]:
  return [arguments.floats('tensors', t) for t in tf.nest.flatten(tensors)]


def _sum(values: Iterable[tf.Tensor]) -> tf.Tensor:
  return tf.add_n(list(values) or [tf.zeros([])])
