"""Checks of arguments: chex's assertions, raised as errors for people."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def rank(argument: str, tensor: tf.Tensor, expected: int | set[int]) -> None:
  """Checks the number of axes of a tensor.

  Args:
    argument: The name of the argument, for the message.
    tensor: The tensor to check.
    expected: The rank, or a set of ranks that will do.

  Raises:
    ValueError: If the rank is another one.
  """
  actual = getattr(tensor, 'shape', None)
  ranks = expected if isinstance(expected, set) else {expected}
  if actual is not None and len(actual) in ranks:
    return
  # Imported for its message alone: JAX comes with it, a tenth of a gigabyte.
  import chex

  try:
    chex.assert_rank(tensor, expected)
  except AssertionError as error:
    raise ValueError(f'{argument}: {error}') from None


def shape(
    argument: str, tensor: tf.Tensor, expected: Sequence[int | None]
) -> None:
  """Checks the shape of a tensor.

  Args:
    argument: The name of the argument, for the message.
    tensor: The tensor to check.
    expected: The size of each axis; None stands for any size.

  Raises:
    ValueError: If the shape is another one.
  """
  actual = tensor.shape
  if actual.rank is None or not actual.is_compatible_with(list(expected)):
    raise ValueError(
        f'{argument}: expected shape {list(expected)}, got {actual}.'
    )


def same_shape(**tensors: tf.Tensor) -> None:
  """Checks that tensors have one shape.

  Args:
    **tensors: The tensors by the name of their argument.

  Raises:
    ValueError: If two static shapes can not be equal.
  """
  (first_name, first), *others = tensors.items()
  for name, tensor in others:
    if not tensor.shape.is_compatible_with(first.shape):
      raise ValueError(
          f'{name}: expected the shape of {first_name}, {first.shape}, got '
          f'{tensor.shape}.'
      )


def integers(argument: str, tensor: tf.Tensor) -> None:
  """Checks that a tensor holds integers.

  Args:
    argument: The name of the argument, for the message.
    tensor: The tensor to check.

  Raises:
    TypeError: If its dtype is not an integer type.
  """
  if not tensor.dtype.is_integer:
    raise TypeError(
        f'{argument}: expected integers, got {tensor.dtype.name}; '
        'convert with tf.cast or pass class indices.'
    )


def in_range(
    argument: str, value: float, low: float, high: float
) -> None:
  """Checks that a Python number lies in a closed interval.

  Args:
    argument: The name of the argument, for the message.
    value: The number to check.
    low: The least number that will do.
    high: The greatest number that will do.

  Raises:
    ValueError: If it does not.
  """
  if not low <= value <= high:
    raise ValueError(f'{argument}: expected [{low}, {high}], got {value}.')


def sizes(argument: str, *numbers: int) -> None:
  """Checks that sizes are at least 1.

  Args:
    argument: The name of the argument, for the message.
    *numbers: The sizes.

  Raises:
    ValueError: If one is not.
  """
  if min(numbers, default=1) < 1:
    given = numbers[0] if len(numbers) == 1 else numbers
    raise ValueError(f'{argument}: expected at least 1, got {given}.')


def rate(argument: str, value: float) -> None:
  """Checks that a rate, such as that of dropout, lies in [0, 1).

  Args:
    argument: The name of the argument, for the message.
    value: The rate.

  Raises:
    ValueError: If it does not.
  """
  if not 0 <= value < 1:
    raise ValueError(f'{argument}: expected a number in [0, 1), got {value}.')


def one_of(argument: str, value: str, names: Sequence[str]) -> None:
  """Checks that a name is a known one.

  Args:
    argument: The name of the argument, for the message.
    value: The name to check.
    names: The known names.

  Raises:
    ValueError: If it is not; the message lists the known names.
  """
  if value not in names:
    raise ValueError(
        f'{argument}: unknown {value!r}; known: {", ".join(sorted(names))}.'
    )
