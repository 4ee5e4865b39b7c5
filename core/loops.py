"""In-graph loops that run many steps per call from Python."""

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
      return it, or any function from a state and a batch to sums.

  Returns:
    A `tf.function` of the state, an iterator over (distributed) batches, the
    sums so far, as `training.zero_sums_of` returns them, and the number of
    steps to take, an integer tensor ``[]``. It returns the sums, including
    those of these steps, and the number of steps taken. That number is smaller
    only if a loss was not finite, which ends the loop right after the step.
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
  """Sums the results of steps in the graph, until a loss is not finite.

  Args:
    step: A function from the number of steps taken so far, an integer ``[]``,
      to the sums of the next step.
    sums: The sums so far, as `training.zero_sums_of` returns them. Each entry
      named `loss` is checked.
    num_steps: The number of steps to take, an integer ``[]``.

  Returns:
    The sums, including those of the steps, and the number of steps taken.

  Raises:
    TypeError: If the number of steps is not an integer.
    ValueError: If it is negative, where that is known while tracing, or the
      sums of a step differ in structure or shapes.
  """
  num_steps = tf.convert_to_tensor(num_steps)
  checks.integers('num_steps', num_steps)
  if (known := tf.get_static_value(num_steps)) is not None:
    checks.size('num_steps', known, low=0)

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
  losses = [
      value
      for path, value in rows.leaves(sums)
      if path.rsplit('/', 1)[-1] == 'loss'
  ]
  return tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in losses])


def _added(total: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
  total, value = checks.same_shape(sums=total, step=value)
  return total + tf.cast(value, total.dtype)
