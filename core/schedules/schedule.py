"""What a schedule is, and how every one of them treats its step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

Step: TypeAlias = int | tf.Tensor | tf.Variable
Schedule: TypeAlias = Callable[[Step], tf.Tensor]


def position(step: Step) -> tf.Tensor:
  """Returns a step as a float64 scalar.

  Args:
    step: An integer scalar, a Python int or a tensor.

  Returns:
    A float64 scalar, exact for steps below 2 ** 53.
  """
  return tf.cast(tf.convert_to_tensor(step, dtype_hint=tf.int64), tf.float64)


def create(value_at: Callable[[tf.Tensor], tf.Tensor]) -> Schedule:
  """Makes a schedule of a function of a float64 step.

  In float32 a ratio such as ``1 - step / num_steps`` loses its digits near the
  end of a long run; in float64 only the result is rounded.

  Args:
    value_at: Maps a float64 scalar to a float64 scalar.

  Returns:
    A schedule: maps an integer scalar to a float32 scalar.
  """

  def schedule(step: Step) -> tf.Tensor:
    return tf.cast(value_at(position(step)), tf.float32)

  return schedule
