"""Checks of arguments, raised as errors for people.

Shapes are compared while tracing where both are known. Where one is not, the
tensor that is returned carries an assertion, which names the argument and fails
when the graph runs. XLA has no assertions, but it knows every shape when it
compiles: there the same mistake is a `tf.errors.InvalidArgumentError` about a
size of -2 in an operation of the argument's name. So use what is returned. If
all shapes are known, it is the tensor itself, and the graph gets nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

# The size of an axis: None stands for any, a tensor [] for one that is unknown
# while tracing.
Size: TypeAlias = int | tf.Tensor | None


def rank(argument: str, tensor: tf.Tensor, expected: int | set[int]) -> None:
  """Checks the number of axes of a tensor.

  Args:
    argument: The name of the argument, for the message.
    tensor: The tensor to check.
    expected: The rank, or a set of ranks that will do.

  Raises:
    ValueError: If the rank is another one, or unknown.
  """
  actual = getattr(tensor, 'shape', None)
  ranks = expected if isinstance(expected, set) else {expected}
  if isinstance(actual, tf.TensorShape) and actual.rank is None:
    raise ValueError(
        f'{argument}: expected rank {expected}, got a tensor of unknown rank; '
        'give its rank by tf.ensure_shape.'
    )
  if actual is not None and len(actual) in ranks:
    return
  # Imported for its message alone: JAX comes with it, a tenth of a gigabyte.
  import chex

  try:
    chex.assert_rank(tensor, expected)
  except AssertionError as error:
    raise ValueError(f'{argument}: {error}') from None


def sizes_of(tensor: tf.Tensor) -> list[int | tf.Tensor]:
  """Returns the size of each axis, a number where it is known while tracing.

  Args:
    tensor: A tensor of known rank.

  Returns:
    Python's integers and, where the size is unknown, int32 tensors ``[]``.
  """
  return [
      tf.shape(tensor)[axis] if size is None else size
      for axis, size in enumerate(tensor.shape)
  ]


def shape(
    argument: str, tensor: tf.Tensor, expected: Sequence[Size]
) -> tf.Tensor:
  """Checks the shape of a tensor, also where it is unknown while tracing.

  Args:
    argument: The name of the argument, for the message.
    tensor: The tensor to check, of known rank.
    expected: The size of each axis; None stands for any size. `sizes_of` gives
      those of another tensor.

  Returns:
    The tensor, with an assertion on the sizes that are not known yet.

  Raises:
    ValueError: If the shape is another one, or its rank unknown.
  """
  known = [size if isinstance(size, int) else None for size in expected]
  actual = tensor.shape
  if actual.rank is None or not actual.is_compatible_with(known):
    raise ValueError(f'{argument}: expected shape {known}, got {actual}.')
  if all(
      size is None or (isinstance(size, int) and size == actual[axis])
      for axis, size in enumerate(expected)
  ):
    return tensor
  wanted = [
      own if size is None else size
      for own, size in zip(sizes_of(tensor), expected, strict=True)
  ]
  return _asserted(
      f'{argument}: expected shape', argument, tensor, tf.stack(wanted), known
  )


def same_shape(**tensors: tf.Tensor) -> list[tf.Tensor]:
  """Checks that tensors have one shape, also where it is unknown while tracing.

  Args:
    **tensors: The tensors by the name of their argument.

  Returns:
    The tensors in their order, with an assertion where shapes are not known.

  Raises:
    ValueError: If two static shapes cannot be equal.
  """
  (first_name, first), *others = tensors.items()
  common = first.shape
  for name, tensor in others:
    if not tensor.shape.is_compatible_with(common):
      raise ValueError(
          f'{name}: expected the shape of {first_name}, {common}, got '
          f'{tensor.shape}.'
      )
    common = common.merge_with(tensor.shape)
  if all(tensor.shape.is_fully_defined() for tensor in tensors.values()):
    return list(tensors.values())
  same = [
      _asserted(
          f'{name}: expected the shape of {first_name},',
          name,
          tensor,
          tf.shape(first),
          common,
      )
      for name, tensor in others
  ]
  if first.shape.rank is None:
    first = tf.ensure_shape(first, common)
  return [first, *same]


def same_batch(**tensors: tf.Tensor) -> list[tf.Tensor]:
  """Checks that tensors are of equally many examples.

  Args:
    **tensors: The tensors ``[batch_size, ...]`` by the name of their argument.

  Returns:
    The tensors in their order, with an assertion where sizes are not known.

  Raises:
    ValueError: If a tensor has no batch axis or two sizes cannot be equal.
  """
  (_, first), *_ = tensors.items()
  for name, tensor in tensors.items():
    if not tensor.shape.rank:
      raise ValueError(
          f'{name}: expected a batch axis, got shape {tensor.shape}.'
      )
  batch_size, *_ = sizes_of(first)
  return [
      shape(name, tensor, [batch_size, *tensor.shape[1:]])
      if tensor is not first else first
      for name, tensor in tensors.items()
  ]


def leading(argument: str, weights: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
  """Repeats weights over the axes of values that they have not.

  Args:
    argument: The name of the weights' argument, for the message.
    weights: A tensor whose shape is the first axes of the values' shape, such
      as one number an example ``[batch_size]``.
    values: A tensor ``[batch_size, ...]`` of known rank.

  Returns:
    The weights in the shape of the values, with an assertion where sizes are
    not known.

  Raises:
    ValueError: If the weights have no axes, or others than the values.
  """
  own, wanted = weights.shape.rank, values.shape.rank
  if wanted is None or not own or own > wanted:
    raise ValueError(
        f'{argument}: expected the shape of the values, {values.shape}, or of '
        f'its first axes, got {weights.shape}.'
    )
  if own == wanted:
    return same_shape(values=values, **{argument: weights})[1]
  weights = shape(argument, weights, sizes_of(values)[:own])
  column = tf.reshape(weights, [*sizes_of(weights), *[1] * (wanted - own)])
  return tf.broadcast_to(column, sizes_of(values))


def _asserted(
    message: str,
    name: str,
    tensor: tf.Tensor,
    wanted: tf.Tensor,
    static: tf.TensorShape | list[int | None],
) -> tf.Tensor:
  """Returns a tensor, with the assertion that it has the wanted shape."""
  with tf.name_scope(re.sub(r'[^A-Za-z0-9_.]', '_', f'shape_of_{name}')):
    actual = tf.shape(tensor)
    is_same = tf.size(actual) == tf.size(wanted)
    rank = tf.minimum(tf.size(actual), tf.size(wanted))
    is_same &= tf.reduce_all(actual[:rank] == wanted[:rank])
    failure = tf.debugging.Assert(is_same, [message, wanted, 'got', actual])
    with tf.control_dependencies([failure]):
      # Not the reshape itself: Grappler drops one of a vector to a vector, and
      # what comes after it would not wait for the assertion.
      checked = tf.identity(tensor)
    # XLA drops the assertion, but refuses a negative size.
    checked = tf.reshape(checked, tf.where(is_same, wanted, -2))
  checked.set_shape(tensor.shape.merge_with(static))
  return checked


def number(argument: str, value: Any) -> None:
  """Checks that a hyper-parameter is one number, and not a variable.

  What is made of a variable reads it once: a later change would be ignored, in
  silence, and the variable saved nowhere.

  Args:
    argument: The name of the argument, for the message.
    value: A Python or NumPy number, or a tensor ``[]``.

  Raises:
    TypeError: If it is None or a string.
    ValueError: If it is a `tf.Variable` or has axes.
  """
  if value is None or isinstance(value, str):
    raise TypeError(f'{argument}: expected a number, got {value!r}.')
  if isinstance(value, tf.Variable):
    raise ValueError(
        f'{argument}: expected a number, got a tf.Variable, which would be '
        'read once and never saved; where a schedule is taken, pass a function '
        'of the step, and to change an optimizer while it trains, make it by '
        'optimizers.inject_hyperparams.'
    )
  axes = getattr(value, 'shape', ())
  if tf.TensorShape(axes).rank != 0:
    raise ValueError(f'{argument}: expected one number, got shape {axes}.')


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
  """Checks that a number lies in a closed interval.

  A tensor whose value is unknown while tracing will do.

  Args:
    argument: The name of the argument, for the message.
    value: The number to check, or a tensor ``[]``.
    low: The least number that will do.
    high: The greatest number that will do.

  Raises:
    ValueError: If it does not, or is a `tf.Variable`.
  """
  _require(
      argument, value, lambda x: low <= x <= high, f'[{low}, {high}]'
  )


def size(argument: str, number: int, low: int = 1) -> None:
  """Checks that a size is an integer, and large enough.

  Args:
    argument: The name of the argument, for the message.
    number: The size.
    low: The minimum.

  Raises:
    TypeError: If it is not an integer.
    ValueError: If it is less than the minimum.
  """
  if not hasattr(number, '__index__'):
    raise TypeError(f'{argument}: expected an integer, got {number!r}.')
  if number < low:
    raise ValueError(f'{argument}: expected at least {low}, got {number}.')


def sizes(argument: str, numbers: Sequence[int]) -> None:
  """Checks several sizes: integers that are at least 1.

  Args:
    argument: The name of the argument, for the message.
    numbers: The sizes.

  Raises:
    TypeError, ValueError: As `size` does.
  """
  if isinstance(numbers, str) or not isinstance(numbers, Iterable):
    what = 'a sequence of integers'
    raise TypeError(f'{argument}: expected {what}, got {numbers!r}.')
  for each in numbers:
    size(argument, each)


def rate(argument: str, value: float) -> None:
  """Checks that a rate, such as that of dropout, lies in [0, 1).

  Args:
    argument: The name of the argument, for the message.
    value: The rate; a tensor ``[]`` that is unknown while tracing will do.

  Raises:
    ValueError: If it does not, or is a `tf.Variable`.
  """
  _require(argument, value, lambda x: 0 <= x < 1, 'a number in [0, 1)')


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


def _require(
    argument: str, value: Any, holds: Callable[[Any], bool], expected: str
) -> None:
  """Checks a number, unless it is a tensor that is unknown while tracing."""
  number(argument, value)
  if tf.is_tensor(value):
    if not hasattr(value, 'numpy'):
      return
    value = value.numpy()
  if not holds(value):
    raise ValueError(f'{argument}: expected {expected}, got {value}.')


def positive(argument: str, value: float) -> None:
  """Checks that a number is above 0.

  Args:
    argument: The name of the argument, for the message.
    value: The number; a tensor ``[]`` that is unknown while tracing will do.

  Raises:
    ValueError: If it is not, or is a `tf.Variable`.
  """
  _require(argument, value, lambda x: x > 0, 'a positive number')


def static(argument: str, value: Any) -> Any:
  """Checks that a number is known while tracing: the graph's form is by it.

  Args:
    argument: The name of the argument, for the message.
    value: A number, or an eager tensor ``[]``.

  Returns:
    The number.

  Raises:
    ValueError: If it is a tensor whose value is unknown while tracing, a
      `tf.Variable`, or has axes.
  """
  number(argument, value)
  if not tf.is_tensor(value):
    return value
  if not hasattr(value, 'numpy'):
    raise ValueError(
        f'{argument}: expected a Python number, got a tensor whose value is '
        'unknown while tracing, but the form of the graph depends on it; pass a'
        ' number (with inject_hyperparams, name it in static_args).'
    )
  return value.numpy()
