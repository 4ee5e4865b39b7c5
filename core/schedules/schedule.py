"""What a schedule is, and how every one of them treats its step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from .. import checks

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


def numbers(**values: float | None) -> list[Any]:
  """Checks the numbers that a schedule is made of.

  Args:
    **values: Numbers, tensors ``[]`` or None, by the name of their argument.

  Returns:
    The values in their order: tensors in float64, others as they are.

  Raises:
    ValueError: If one is a `tf.Variable` or has axes.
  """
  for argument, value in values.items():
    if value is not None:
      checks.number(argument, value)
  return [wide(value) for value in values.values()]


def wide(value: Any) -> Any:
  """Returns a number as it is, and a tensor in float64.

  Args:
    value: A number, a tensor ``[]``, or None.

  Returns:
    What can be computed with as with Python's numbers.
  """
  return tf.cast(value, tf.float64) if tf.is_tensor(value) else value


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
