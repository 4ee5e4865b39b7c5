"""Constraints on parameters, and a transformation that enforces them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf

from .. import checks
from . import partitioning, transformation

# Maps a parameter to the closest allowed one, or another.
Constraint: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
Axis: TypeAlias = int | Sequence[int] | None


def _norms(tensor: tf.Tensor, axis: Axis) -> tf.Tensor:
  """Computes norms over axes. Default: all but the last, or a vector's."""
  if not tensor.shape.rank:
    raise ValueError(
        'tensor: expected rank 1 or more, got a scalar; choose weights by '
        'a mask such as r".*/w".'
    )
  if axis is None:
    axis = list(range(max(tensor.shape.rank - 1, 1)))
  # Divide first: squares of small numbers vanish, those of large ones overflow.
  size = tf.reduce_max(tf.abs(tensor), axis, keepdims=True)
  size = tf.where((size > 0) & tf.math.is_finite(size), size, 1)
  squares = tf.square(tensor / size)
  return size * tf.sqrt(tf.reduce_sum(squares, axis, keepdims=True))


def max_norm(
    tensor: tf.Tensor, max_value: float = 2.0, axis: Axis = None
) -> tf.Tensor:
  """Scales down weights whose norm exceeds a maximum.

  Args:
    tensor: A parameter, float, of rank 1 or more.
    max_value: The maximum norm, at least 0.
    axis: The axes of a norm. Default: all but the last, so a norm is that of
      the weights of one unit in a matrix ``[num_inputs, num_units]``, or of one
      filter in ``[height, width, channels, filters]``; or the axis of a vector.

  Returns:
    A tensor like the parameter; allowed weights do not change.

  Raises:
    ValueError: If `max_value` is negative or the tensor a scalar.

  Reference:
    Srivastava et al. 2014, Dropout: a simple way to prevent neural networks
    from overfitting, section 5.1; ``keras.constraints.MaxNorm``, with 0 as its
    default axis.

  Example:
    >>> import tensorflow as tf
    >>> from core import optimizers
    >>> w = tf.constant([[3.0, 0.5], [4.0, 0.0]])
    >>> optimizers.max_norm(w, max_value=2.5).numpy().tolist()
    [[1.5, 0.5], [2.0, 0.0]]
  """
  checks.in_range('max_value', max_value, 0, math.inf)
  tensor = tf.convert_to_tensor(tensor)
  norms = _norms(tensor, axis)
  is_above = norms > max_value
  return tf.where(
      is_above, tensor * (max_value / tf.where(is_above, norms, 1)), tensor
  )


def unit_norm(tensor: tf.Tensor, axis: Axis = None) -> tf.Tensor:
  """Scales weights to a norm of 1.

  Args:
    tensor: A parameter, float, of rank 1 or more.
    axis: The axes of a norm, see `max_norm`.

  Returns:
    A tensor like the parameter; weights with a norm of 0 stay 0.

  Raises:
    ValueError: If the tensor is a scalar.

  Reference:
    ``keras.constraints.UnitNorm``, with 0 as its default axis.

  Example:
    >>> import tensorflow as tf
    >>> from core import optimizers
    >>> w = tf.constant([[2.0, 0.0], [0.0, 0.0]])
    >>> optimizers.unit_norm(w).numpy().tolist()
    [[1.0, 0.0], [0.0, 0.0]]
  """
  tensor = tf.convert_to_tensor(tensor)
  return tf.math.divide_no_nan(tensor, _norms(tensor, axis))


def non_negative(tensor: tf.Tensor) -> tf.Tensor:
  """Sets negative numbers to 0.

  Args:
    tensor: A parameter, float.

  Returns:
    A tensor like the parameter.

  Reference:
    ``keras.constraints.NonNeg``; ``optax.projections.projection_non_negative``.

  Example:
    >>> import tensorflow as tf
    >>> from core import optimizers
    >>> optimizers.non_negative(tf.constant([-1.0, 2.0])).numpy().tolist()
    [0.0, 2.0]
  """
  return tf.maximum(tensor, 0)


def constrain(
    constraints: Mapping[partitioning.Mask, Constraint],
) -> transformation.GradientTransformation:
  """Changes updates so that the updated parameters satisfy constraints.

  It must be the last in a chain, where the updates are what is added: the
  result is ``constraint(parameter + update) - parameter``. Half-precision
  parameters satisfy the constraint up to rounding.

  Args:
    constraints: Maps masks to functions of a tensor. The first matching mask
      wins; parameters without one are unconstrained.

  Returns:
    A transformation without a state of its own.

  Raises:
    ValueError: If a regular expression is invalid.

  Reference:
    Projected gradient descent; ``keras.constraints``, which are applied after
    an update; ``optax.keep_params_nonnegative``.

  Example:
    >>> import functools
    >>> import tensorflow as tf
    >>> from core import optimizers
    >>> optimizer = optimizers.chain(
    ...     optimizers.sgd(1.0),
    ...     optimizers.constrain({
    ...         '.*/w': functools.partial(optimizers.max_norm, max_value=3.0),
    ...         'scale': optimizers.non_negative,
    ...     }),
    ... )
    >>> parameters = {'scale': tf.constant(0.5)}
    >>> updates, _ = optimizer.update(
    ...     {'scale': tf.constant(2.0)}, optimizer.init(parameters), parameters)
    >>> float(optimizers.apply_updates(parameters, updates)['scale'])
    0.0
  """
  groups: dict[partitioning.Mask, transformation.GradientTransformation] = {
      mask: _projection(constraint) for mask, constraint in constraints.items()
  }
  groups[lambda path, tensor: True] = transformation.identity()
  return partitioning.partition(groups)


def _projection(
    constraint: Constraint,
) -> transformation.GradientTransformation:
  def project(update: tf.Tensor, parameter: tf.Tensor) -> tf.Tensor:
    allowed, parameter = checks.same_shape(
        constraint=constraint(parameter + update), parameter=parameter
    )
    return allowed - parameter

  return transformation.stateless(
      lambda updates, parameters: tf.nest.map_structure(
          project, updates, parameters
      )
  )
