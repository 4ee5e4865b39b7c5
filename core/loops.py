"""Loops in the graph over steps: many steps in one call from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from . import checks, objectives, rows, training


def make_loop(
    step: training.Step,
) -> Callable[..., tuple[training.Sums, tf.Tensor]]:
  """Makes a loop over a step and the batches of an iterator.

  Args:
    step: A step, as `training.make_train_step` and `training.make_eval_step`
      make it, or any function of a state of one's own and a batch to sums.

  Returns:
    A `tf.function` of the state, an iterator of (distributed) batches, the sums
    so far as `training.zero_sums_of` makes them, and the number of steps to
    take, an integer tensor ``[]``. It returns the sums, with those of these
    steps added, and the number of steps taken, which is smaller only if a loss
    was not finite: the loop ends right after that step.
  """

  @tf.function(autograph=False)
  def loop(
      state: Any,
      iterator: Iterator[objectives.Batch],
      sums: training.Sums,
      num_steps: tf.Tensor,
  ) -> tuple[training.Sums, tf.Tensor]:
    return add_up(lambda taken: step(state, next(iterator)), sums, num_steps)

  return loop


def add_up(
    step: Callable[[tf.Tensor], training.Sums],
    sums: training.Sums,
    num_steps: tf.Tensor,
) -> tuple[training.Sums, tf.Tensor]:
  """Adds up the sums of steps in the graph, until a loss is not finite.

  Args:
    step: A function of the number of steps taken, an integer ``[]``, to the
      sums of the next.
    sums: The sums so far, as `training.zero_sums_of` makes them. Each `loss` in
      them is looked at.
    num_steps: The number of steps to take, an integer ``[]``.

  Returns:
    The sums with those of the steps added, and the number of steps taken.

  Raises:
    ValueError: If a step's sums have another structure or other shapes.
  """

  def goes_on(sums: training.Sums, taken: tf.Tensor) -> tf.Tensor:
    return (taken < num_steps) & _is_finite(sums)

  def body(
      sums: training.Sums, taken: tf.Tensor
  ) -> tuple[training.Sums, tf.Tensor]:
    return tf.nest.map_structure(_added, sums, step(taken)), taken + 1

  return tf.while_loop(
      goes_on, body, (sums, tf.zeros_like(num_steps)), parallel_iterations=1
  )


def _is_finite(sums: training.Sums) -> tf.Tensor:
  """Returns whether each loss is, of the step or of the steps it is made of."""
  losses = [
      value
      for path, value in rows.leaves(sums)
      if path.rsplit('/', 1)[-1] == 'loss'
  ]
  return tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in losses])


def _added(total: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
  total, value = checks.same_shape(sums=total, step=value)
  return total + tf.cast(value, total.dtype)
