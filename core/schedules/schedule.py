"""What a schedule is, and how every one of them treats its step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

Step: TypeAlias = int | tf.Tensor | tf.Variable
Schedule: TypeAlias = Callable[[Step], tf.Tensor]


def position(step: Step) -> tf.Tensor:
  """Returns steps in float64.

  Args:
    step: Integers of any shape; a Python int or a tensor.

  Returns:
    A float64 tensor of that shape, exact for steps below 2 ** 53.
  """
  return tf.cast(tf.convert_to_tensor(step, dtype_hint=tf.int64), tf.float64)


def create(value_at: Callable[[tf.Tensor], tf.Tensor]) -> Schedule:
  """Makes a schedule of a function of a float64 step.

  In float32 a ratio such as ``1 - step / num_steps`` loses its digits near the
  end of a long run; in float64 only the result is rounded.

  Args:
    value_at: Maps a float64 tensor to one of its shape, element by element.

  Returns:
    A schedule: maps integers to float32 numbers of their shape.
  """

  def schedule(step: Step) -> tf.Tensor:
    return tf.cast(value_at(position(step)), tf.float32)

  return schedule
