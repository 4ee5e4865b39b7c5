"""Stochastic gradient descent, with or without momentum."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from .. import checks
from . import moments, nests, transformation


class TraceState(NamedTuple):
  """The decayed sum of gradients."""

  trace: nests.Nest


def trace(
    decay: float,
    nesterov: bool = False,
    accumulator_dtype: tf.DType | None = None,
) -> transformation.GradientTransformation:
  r"""Sums the gradients with exponential decay: momentum.

  .. math::
    m_t = g_t + \mu m_{t-1}, \qquad
    u_t = m_t \text{ or, with Nesterov momentum, } g_t + \mu m_t

  Args:
    decay: The factor :math:`\mu`, in [0, 1).
    nesterov: Whether to use Nesterov momentum.
    accumulator_dtype: The dtype of the sum. Default: that of the parameters.

  Returns:
    A transformation; its state holds one tensor per parameter.

  Raises:
    ValueError: If `decay` is not in [0, 1).

  Reference:
    `On the importance of initialization and momentum in deep learning
    <https://proceedings.mlr.press/v28/sutskever13.html>`_; ``optax.trace``.

  Example:
    >>> from core import optimizers
    >>> momentum = optimizers.trace(0.5)
    >>> w = {'w': tf.constant(1.0)}
    >>> _, state = momentum.update(w, momentum.init(w), w)
    >>> float(momentum.update(w, state, w)[0]['w'])
    1.5
  """
  decay = moments.rate('decay', decay)

  def init(parameters: nests.Nest) -> TraceState:
    return TraceState(nests.zeros_like(parameters, accumulator_dtype))

  def update(
      gradients: nests.Nest, state: TraceState, parameters: nests.Nest
  ) -> tuple[nests.Nest, TraceState]:
    def accumulate(gradient: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
      return gradient + nests.times(decay, tf.cast(total, gradient.dtype))

    total = tf.nest.map_structure(accumulate, gradients, state.trace)
    updates = total
    if nesterov:
      updates = tf.nest.map_structure(accumulate, gradients, total)
    return updates, TraceState(nests.cast_like(total, state.trace))

  return transformation.create(init, update)


def sgd(
    learning_rate: transformation.ScalarOrSchedule,
    momentum: float | None = None,
    nesterov: bool = False,
    accumulator_dtype: tf.DType | None = None,
) -> transformation.GradientTransformation:
  """Stochastic gradient descent.

  Args:
    learning_rate: A non-negative number, or a schedule.
    momentum: The decay of the sum of gradients, in [0, 1). Default: no sum.
    nesterov: Whether to use Nesterov momentum, see `trace`.
    accumulator_dtype: The dtype of the stored sum, see `trace`.

  Returns:
    A transformation; with momentum, its state holds one tensor per parameter.

  Raises:
    ValueError: If a number is out of range, or `nesterov` lacks momentum.

  Reference:
    ``optax.sgd``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.sgd(learning_rate=0.5, momentum=0.9)
    >>> w = {'w': tf.constant(1.0)}
    >>> updates, state = optimizer.update(w, optimizer.init(w), w)
    >>> float(updates['w'])
    -0.5
  """
  if momentum is None:
    if nesterov:
      raise ValueError('nesterov: True needs momentum, such as 0.9.')
    return transformation.scale_by_learning_rate(learning_rate)
  checks.rate('momentum', momentum)
  return transformation.chain(
      trace(momentum, nesterov, accumulator_dtype),
      transformation.scale_by_learning_rate(learning_rate),
  )
