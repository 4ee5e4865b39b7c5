"""Accumulation of gradients over several steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from .. import checks
from . import finiteness, foreign, nests, transformation


class MultiStepsState(NamedTuple):
  """The step in a round, the number of rounds, and accumulated gradients."""

  mini_step: tf.Tensor
  gradient_step: tf.Tensor
  inner_opt_state: nests.Nest
  acc_grads: nests.Nest


def multi_steps(
    opt: transformation.GradientTransformation,
    every_k_schedule: int | Callable[[tf.Tensor], tf.Tensor],
    use_grad_mean: bool = True,
) -> transformation.GradientTransformation:
  """Accumulates gradients over k steps, and then applies the optimizer once.

  In between, updates are 0 and the optimizer's state, with the count that a
  learning-rate schedule sees, does not change. The optimizer is computed at
  every step and its result selected, so that all steps share one graph.

  Args:
    opt: The optimizer.
    every_k_schedule: The number of steps, at least 1, or a function from the
      number of updates so far, an int64 scalar, to an integer scalar.
    use_grad_mean: Whether to pass on the gradients' mean instead of their sum.
      If batches differ in weight, neither is the large batch's gradient.

  Returns:
    A transformation; its state holds two counts, the state of the optimizer and
    one tensor per parameter.

  Raises:
    TypeError: If `opt` is not a transformation.
    ValueError: If `every_k_schedule` is below 1.

  Reference:
    ``optax.MultiSteps``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.multi_steps(optimizers.sgd(1.0), 2)
    >>> w = {'w': tf.constant(0.0)}
    >>> state = optimizer.init(w)
    >>> for value in (1.0, 3.0):
    ...   updates, state = optimizer.update({'w': value}, state, w)
    ...   float(updates['w'])
    0.0
    -2.0
  """
  foreign.check_transformation('opt', opt)
  if not callable(every_k_schedule):
    checks.in_range('every_k_schedule', every_k_schedule, 1, math.inf)

  def init(parameters: nests.Nest) -> MultiStepsState:
    return MultiStepsState(
        mini_step=transformation.zero_count(),
        gradient_step=transformation.zero_count(),
        inner_opt_state=opt.init(parameters),
        acc_grads=nests.zeros_like(parameters),
    )

  def num_steps(gradient_step: tf.Tensor) -> tf.Tensor:
    if callable(every_k_schedule):
      number = tf.cast(every_k_schedule(gradient_step), tf.int64)
      return checks.shape('every_k_schedule', number, [])
    return nests.scalar(every_k_schedule, tf.int64)

  def update(
      gradients: nests.Nest, state: MultiStepsState, parameters: nests.Nest
  ) -> tuple[nests.Nest, MultiStepsState]:
    def accumulate(gradient: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
      if not use_grad_mean:
        return total + gradient
      # A running mean is as exact as a sum and a division, and never overflows.
      divisor = tf.cast(state.mini_step + 1, gradient.dtype)
      return total + (gradient - total) / divisor

    totals = tf.nest.map_structure(accumulate, gradients, state.acc_grads)
    updates, inner_state = opt.update(totals, state.inner_opt_state, parameters)
    is_last = state.mini_step + 1 >= num_steps(state.gradient_step)
    new_state = MultiStepsState(
        mini_step=tf.where(
            is_last, transformation.zero_count(), state.mini_step + 1
        ),
        gradient_step=state.gradient_step + tf.cast(is_last, tf.int64),
        inner_opt_state=finiteness.where(
            is_last, inner_state, state.inner_opt_state
        ),
        acc_grads=nests.where(is_last, nests.zeros_like(totals), totals),
    )
    return nests.where(is_last, updates, nests.zeros_like(updates)), new_state

  return transformation.create(init, update)
