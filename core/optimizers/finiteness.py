"""Skipping of steps with gradients that are not finite."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import tensorflow as tf

from .. import checks
from . import foreign, nests, transformation


class ApplyIfFiniteState(NamedTuple):
  """The counts of errors (gradients that are not finite), and the inner state.

  Attributes:
    notfinite_count: The number of errors in a row, int64 ``[]``.
    last_finite: Whether the last gradients were finite, bool ``[]``.
    total_notfinite: The total number of errors, int64 ``[]``.
    inner_state: The state of the inner transformation.
    last_skipped: Whether the last step was skipped, bool ``[]``: its gradients
      were not finite, but not too often in a row.
  """

  notfinite_count: tf.Tensor
  last_finite: tf.Tensor
  total_notfinite: tf.Tensor
  inner_state: nests.Nest
  last_skipped: tf.Tensor


_FLAG = ('last_skipped',)
_COUNTS = ('notfinite_count', 'last_finite', 'total_notfinite', *_FLAG)


def apply_if_finite(
    inner: transformation.GradientTransformation, max_consecutive_errors: int
) -> transformation.GradientTransformation:
  """Skips steps with gradients that are infinite or NaN.

  A skipped step has updates of 0 and does not change the inner state. After too
  many in a row the step is applied, so that the problem becomes visible.

  A train step (`training.make_train_step`) also undoes the rest of a skipped
  step, wherever this transformation stands in a chain or partition: other
  parameters and states, averages, and changes by the forward pass.

  Args:
    inner: The transformation.
    max_consecutive_errors: How many steps in a row may be skipped, at least 0.

  Returns:
    A transformation; its state holds two counts, whether the last gradients
    were finite, the inner state, and whether the last step was skipped.

  Raises:
    TypeError: If `inner` is not a transformation.
    ValueError: If `max_consecutive_errors` is negative.

  Reference:
    ``optax.apply_if_finite``, whose state has no ``last_skipped``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.apply_if_finite(optimizers.sgd(1.0), 10)
    >>> w = {'w': tf.constant(0.0)}
    >>> updates, state = optimizer.update(
    ...     {'w': float('nan')}, optimizer.init(w), w)
    >>> float(updates['w']), int(state.total_notfinite)
    (0.0, 1)
  """
  foreign.check_transformation('inner', inner)
  checks.in_range('max_consecutive_errors', max_consecutive_errors, 0, math.inf)

  def init(parameters: nests.Nest) -> ApplyIfFiniteState:
    return ApplyIfFiniteState(
        notfinite_count=transformation.zero_count(),
        last_finite=tf.constant(True),
        total_notfinite=transformation.zero_count(),
        inner_state=inner.init(parameters),
        last_skipped=tf.constant(False),
    )

  def update(
      gradients: nests.Nest, state: ApplyIfFiniteState, parameters: nests.Nest
  ) -> tuple[nests.Nest, ApplyIfFiniteState]:
    is_finite = tf.constant(True)
    for gradient in tf.nest.flatten(gradients):
      is_finite &= tf.reduce_all(tf.math.is_finite(gradient))
    error = tf.cast(tf.logical_not(is_finite), tf.int64)
    # Errors in a row: one more, or 0.
    in_a_row = (state.notfinite_count + 1) * error
    limit = nests.scalar(max_consecutive_errors, tf.int64)
    is_applied = tf.logical_or(is_finite, in_a_row > limit)
    updates, inner_state = inner.update(
        gradients, state.inner_state, parameters
    )
    new_state = ApplyIfFiniteState(
        notfinite_count=in_a_row,
        last_finite=is_finite,
        total_notfinite=state.total_notfinite + error,
        inner_state=where(is_applied, inner_state, state.inner_state),
        last_skipped=tf.logical_not(is_applied),
    )
    zeros = nests.zeros_like(updates)
    return nests.where(is_applied, updates, zeros), new_state

  return transformation.create(init, update)


def skips(state: nests.Nest) -> list[tf.Tensor]:
  """Returns ``last_skipped``, bool ``[]``, of each `ApplyIfFiniteState`.

  The list is empty if no step can be skipped.
  """
  found = [state.last_skipped] if isinstance(state, ApplyIfFiniteState) else []
  for _, child in nests.children(state):
    found += skips(child)
  return found


def where(condition: tf.Tensor, new: nests.Nest, old: nests.Nest) -> nests.Nest:
  """Selects the new state if a condition holds, but always its skip flags.

  It is for wrappers that do not always take the new state of their inner
  transformation: the train step still learns which steps were skipped.
  """
  return _where(condition, new, old, _FLAG)


def undo(is_skipped: tf.Tensor, new: nests.Nest, old: nests.Nest) -> nests.Nest:
  """Selects the old state for a skipped step, but the new counts of errors."""
  return _where(tf.logical_not(is_skipped), new, old, _COUNTS)


def _where(
    condition: tf.Tensor,
    new: nests.Nest,
    old: nests.Nest,
    always_new: Collection[str],
) -> nests.Nest:
  leaves = [
      one if is_new else tf.where(condition, one, other)
      for one, other, is_new in zip(
          tf.nest.flatten(new),
          tf.nest.flatten(old),
          _are_fields(new, always_new),
          strict=True,
      )
  ]
  return tf.nest.pack_sequence_as(new, leaves)


def _are_fields(nest: nests.Nest, fields: Collection[str]) -> list[bool]:
  """Returns which leaves are these fields of an `ApplyIfFiniteState`."""
  if not tf.nest.is_nested(nest):
    return [False]
  is_state = isinstance(nest, ApplyIfFiniteState)
  return [
      is_leaf or (is_state and name in fields)
      for name, child in nests.children(nest)
      for is_leaf in _are_fields(child, fields)
  ]
