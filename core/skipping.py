"""Counts the steps that a train step skipped.

A step with gradients that are not finite may be skipped, by
`optimizers.apply_if_finite` or because of a loss scale. A skipped step changes
only the step number, the loss scale and these counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from . import loss_scaling
from .optimizers import finiteness


class Skipped(NamedTuple):
  """Numbers of skipped steps, each an int64 ``[]``.

  Attributes:
    total: The total number.
    in_a_row: The number since the last step that was taken.
    longest: The maximum of `in_a_row` so far.
  """

  total: tf.Tensor
  in_a_row: tf.Tensor
  longest: tf.Tensor


def init() -> Skipped:
  """Returns the initial counts.

  Returns:
    Zeros.
  """
  return Skipped(*(tf.zeros([], tf.int64) for _ in Skipped._fields))


def count(skipped: Skipped, is_skipped: tf.Tensor) -> Skipped:
  """Adds one step to the counts.

  Args:
    skipped: The counts.
    is_skipped: Whether the step was skipped, bool ``[]``.

  Returns:
    The new counts.

  Example:
    >>> from core import skipping
    >>> counts = skipping.init()
    >>> for is_skipped in (True, True, False):
    ...   counts = skipping.count(counts, is_skipped)
    >>> [int(number) for number in counts]
    [2, 0, 2]
  """
  one = tf.cast(is_skipped, tf.int64)
  in_a_row = (skipped.in_a_row + 1) * one
  return Skipped(
      total=skipped.total + one,
      in_a_row=in_a_row,
      longest=tf.maximum(skipped.longest, in_a_row),
  )


def decide(
    gradients: Any,
    optimizer_state: Any,
    loss_scale: loss_scaling.LossScale | None,
    summed: Any,
) -> tuple[tf.Tensor, Any]:
  """Decides whether to skip a step.

  Args:
    gradients: A nest of tensors, the gradients of the unscaled loss.
    optimizer_state: The state of the optimizer after its update.
    loss_scale: The loss scale of the step, or None.
    summed: The gradients of the scaled sum of losses, over all replicas.

  Returns:
    Whether to undo the step, bool ``[]``, and the new loss scale, or an empty
    tuple if there is none.
  """
  skips = finiteness.skips(optimizer_state)
  if loss_scale is None:
    return tf.reduce_any(skips), ()
  is_finite = tf.logical_and(
      loss_scaling.all_finite(gradients), loss_scaling.fits(summed)
  )
  is_skipped = tf.reduce_any([tf.logical_not(is_finite), *skips])
  return is_skipped, loss_scaling.adjust(loss_scale, is_finite)


def measured(sums: Any, is_skipped: tf.Tensor) -> Any:
  """Drops the sums of a skipped step unless all of them are finite.

  If only the gradients overflowed, loss and metrics are valid for the batch. An
  infinite sum, however, would spoil those of all other steps.

  Args:
    sums: A nest of additive tensors.
    is_skipped: Whether the step was skipped, bool ``[]``.

  Returns:
    The sums, or zeros.
  """
  is_finite = [
      tf.reduce_all(tf.math.is_finite(value))
      for value in tf.nest.flatten(sums)
      if value.dtype.is_floating
  ]
  is_left_out = tf.logical_and(
      is_skipped, tf.logical_not(tf.reduce_all(is_finite))
  )
  return tf.nest.map_structure(
      lambda value: tf.where(is_left_out, tf.zeros_like(value), value), sums
  )
