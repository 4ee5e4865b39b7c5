"""Weight decay and gradient centralization."""

from __future__ import annotations

import math

import tensorflow as tf

from .. import checks
from . import nests, partitioning, transformation


def add_decayed_weights(
    weight_decay: transformation.ScalarOrSchedule = 0.0,
    mask: partitioning.Mask | None = None,
) -> transformation.GradientTransformation:
  """Adds the parameters, times a factor, to the gradients.

  Before an adaptive transformation this is L2 regularization; after it and
  before the learning rate, it is the decoupled decay of AdamW.

  Args:
    weight_decay: The factor, a non-negative number or a schedule.
    mask: Which parameters decay, such as ``r'.*/w'`` or ``lambda path, tensor:
      tensor.shape.rank > 1``. Default: all.

  Returns:
    A transformation; its state holds a count if the factor is a schedule.

  Raises:
    ValueError: If `weight_decay` is negative or `mask` is invalid.

  Reference:
    `Decoupled weight decay regularization <https://arxiv.org/abs/1711.05101>`_;
    ``optax.add_decayed_weights``.

  Example:
    >>> from core import optimizers
    >>> decay = optimizers.add_decayed_weights(0.5, mask=r'.*/w')
    >>> w = {'linear/w': tf.constant(1.0), 'linear/b': tf.constant(1.0)}
    >>> updates, _ = decay.update(w, decay.init(w), w)
    >>> float(updates['linear/w']), float(updates['linear/b'])
    (1.5, 1.0)
  """
  if mask is not None:
    return partitioning.masked(add_decayed_weights(weight_decay), mask)

  def add(
      gradients: nests.Nest, parameters: nests.Nest, factor: float | tf.Tensor
  ) -> nests.Nest:
    return tf.nest.map_structure(
        lambda gradient, parameter: gradient + nests.times(factor, parameter),
        gradients,
        parameters,
    )

  if not callable(weight_decay):
    checks.in_range('weight_decay', weight_decay, 0, math.inf)
    return transformation.stateless(
        lambda gradients, parameters: add(gradients, parameters, weight_decay)
    )
  schedule = weight_decay

  def update(
      gradients: nests.Nest,
      state: transformation.CountState,
      parameters: nests.Nest,
  ) -> tuple[nests.Nest, transformation.CountState]:
    updates = add(gradients, parameters, schedule(state.count))
    return updates, transformation.CountState(state.count + 1)

  return transformation.create(
      lambda parameters: transformation.CountState(transformation.zero_count()),
      update,
  )


def centralize() -> transformation.GradientTransformation:
  """Subtracts from each gradient its mean over all axes but the first.

  Vectors and scalars do not change.

  Returns:
    A stateless transformation.

  Reference:
    `Gradient centralization <https://arxiv.org/abs/2004.01461>`_, equation 1;
    ``optax.centralize``, with the same axes.

  Example:
    >>> from core import optimizers
    >>> w = {'w': tf.constant([[1.0, 3.0]])}
    >>> optimizers.centralize().update(w, (), w)[0]['w'].numpy().tolist()
    [[-1.0, 1.0]]
  """

  def function(gradients: nests.Nest, parameters: nests.Nest) -> nests.Nest:
    return tf.nest.map_structure(
        lambda gradient: gradient
        if gradient.shape.rank < 2
        else gradient
        - tf.reduce_mean(
            gradient, axis=list(range(1, gradient.shape.rank)), keepdims=True
        ),
        gradients,
    )

  return transformation.stateless(function)
