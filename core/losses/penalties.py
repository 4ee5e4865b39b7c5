"""Penalties on parameters: ``[]`` for any nest of tensors.

They see parameters alone, which every replica holds whole: add a penalty once
to the global mean loss, not once a replica. Penalties that see examples are in
`regularizers` and give a value an example, like any loss.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import arguments


def l1_penalty(tensors: Any, *, scale: float = 1.0) -> tf.Tensor:
  r"""Computes the scaled sum of absolute values.

  .. math:: \lambda \sum_i |w_i|

  Args:
    tensors: A nest of floating point tensors or variables of any shapes.
    scale: The factor :math:`\lambda`, >= 0.

  Returns:
    ``[]``, float32 also for bfloat16 tensors; 0 for an empty nest.

  Raises:
    TypeError: If a tensor is not of floating point numbers.
    ValueError: If the scale is negative.

  Example:
    >>> from core import losses
    >>> float(losses.l1_penalty({'w': [1.0, -2.0], 'b': [3.0]}, scale=0.5))
    3.0
  """
  arguments.not_negative('scale', scale)
  return scale * tf.add_n(
      [tf.reduce_sum(tf.abs(tensor)) for tensor in _floats(tensors)]
  )


def l2_penalty(tensors: Any, *, scale: float = 1.0) -> tf.Tensor:
  r"""Computes the scaled sum of squares.

  .. math:: \lambda \sum_i w_i^2

  There is no factor of one half: the gradient is :math:`2 \lambda w`, as for
  Keras and Sonnet (`tf.nn.l2_loss` and Optax's `l2_loss` halve).

  Args:
    tensors: A nest of floating point tensors or variables of any shapes.
    scale: The factor :math:`\lambda`, >= 0.

  Returns:
    ``[]``, float32 also for bfloat16 tensors; 0 for an empty nest.

  Raises:
    TypeError: If a tensor is not of floating point numbers.
    ValueError: If the scale is negative.

  Example:
    >>> from core import losses
    >>> float(losses.l2_penalty({'w': [1.0, -2.0], 'b': [3.0]}, scale=0.5))
    7.0
  """
  arguments.not_negative('scale', scale)
  return scale * tf.add_n(
      [tf.reduce_sum(tensor**2) for tensor in _floats(tensors)]
  )


def _floats(tensors: Any) -> list[tf.Tensor]:
  flat = tf.nest.flatten(tensors) or [0.0]
  return [arguments.floats('tensors', tensor) for tensor in flat]
