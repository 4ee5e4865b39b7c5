"""The type of schedules, and how all of them treat their step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from .. import checks

Step: TypeAlias = int | tf.Tensor | tf.Variable
Schedule: TypeAlias = Callable[[Step], tf.Tensor]


def position(step: Step) -> tf.Tensor:
  """Returns steps of any shape in float64, exact below 2 ** 53."""
  return tf.cast(tf.convert_to_tensor(step, dtype_hint=tf.int64), tf.float64)


def numbers(**values: float | None) -> list[Any]:
  """Checks numbers, tensors ``[]`` or None; casts tensors to float64.

  Raises:
    ValueError: If one is a `tf.Variable` or not a scalar.
  """
  for argument, value in values.items():
    if value is not None:
      checks.number(argument, value)
  return [wide(value) for value in values.values()]


def wide(value: Any) -> Any:
  """Casts a tensor to float64, and returns other values unchanged."""
  return tf.cast(value, tf.float64) if tf.is_tensor(value) else value


def create(value_at: Callable[[tf.Tensor], tf.Tensor]) -> Schedule:
  """Makes a schedule from an elementwise function of a float64 step.

  In float32 a ratio such as ``1 - step / num_steps`` loses its digits near the
  end of a long run; in float64 only the result is rounded, to float32.
  """

  def schedule(step: Step) -> tf.Tensor:
    return tf.cast(value_at(position(step)), tf.float32)

  return schedule
