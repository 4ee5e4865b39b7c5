"""Skipping of steps whose gradients are not finite."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from .. import checks
from . import nests, transformation


class ApplyIfFiniteState(NamedTuple):
  """What was not finite, in a row and in all, and the inner state."""

  notfinite_count: tf.Tensor
  last_finite: tf.Tensor
  total_notfinite: tf.Tensor
  inner_state: nests.Nest


def apply_if_finite(
    inner: transformation.GradientTransformation, max_consecutive_errors: int
) -> transformation.GradientTransformation:
  """Skips a step where an element of the gradients is infinite or NaN.

  A skipped step has updates of 0 and leaves the inner state as it was. After
  too many in a row the step is taken all the same: then it is no accident, and
  should be seen.

  Args:
    inner: The transformation.
    max_consecutive_errors: How many steps in a row may be skipped, at least 0.

  Returns:
    A transformation; its state holds two counts, whether the last gradients
    were finite, and the state of `inner`.

  Raises:
    ValueError: If `max_consecutive_errors` is negative.

  Reference:
    ``optax.apply_if_finite``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.apply_if_finite(optimizers.sgd(1.0), 10)
    >>> w = {'w': tf.constant(0.0)}
    >>> updates, state = optimizer.update(
    ...     {'w': float('nan')}, optimizer.init(w), w)
    >>> float(updates['w']), int(state.total_notfinite)
    (0.0, 1)
  """
  checks.in_range(
      'max_consecutive_errors', max_consecutive_errors, 0, math.inf
  )

  def init(parameters: nests.Nest) -> ApplyIfFiniteState:
    return ApplyIfFiniteState(
        notfinite_count=transformation.zero_count(),
        last_finite=tf.constant(True),
        total_notfinite=transformation.zero_count(),
        inner_state=inner.init(parameters),
    )

  def update(
      gradients: nests.Nest, state: ApplyIfFiniteState, parameters: nests.Nest
  ) -> tuple[nests.Nest, ApplyIfFiniteState]:
    is_finite = tf.constant(True)
    for gradient in tf.nest.flatten(gradients):
      is_finite &= tf.reduce_all(tf.math.is_finite(gradient))
    error = tf.cast(tf.logical_not(is_finite), tf.int64)
    # Errors in a row: one more, or none.
    in_a_row = (state.notfinite_count + 1) * error
    is_applied = tf.logical_or(is_finite, in_a_row > max_consecutive_errors)
    updates, inner_state = inner.update(
        gradients, state.inner_state, parameters
    )
    new_state = ApplyIfFiniteState(
        notfinite_count=in_a_row,
        last_finite=is_finite,
        total_notfinite=state.total_notfinite + error,
        inner_state=nests.where(is_applied, inner_state, state.inner_state),
    )
    zeros = nests.zeros_like(updates)
    return nests.where(is_applied, updates, zeros), new_state

  return transformation.create(init, update)
