"""Checks of arguments, with errors that say what was expected.

Shapes are compared while tracing where both are known. Otherwise, the returned
tensor carries an assertion that names the argument and fails when the graph
runs, so use the returned tensor. (It is the argument itself if all shapes are
known.) XLA drops assertions but knows all shapes when it compiles: there, the
same mistake raises a `tf.errors.InvalidArgumentError` about a size of -2 in an
operation named after the argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

# The size of an axis: None for any size, a tensor [] if unknown while tracing.
Size: TypeAlias = int | tf.Tensor | None


def rank(argument: str, tensor: tf.Tensor, expected: int | set[int]) -> None:
  """Checks the number of axes of a tensor.

  Args:
    argument: The name of the argument, for the message.
    tensor: The tensor to check.
    expected: The rank, or a set of allowed ranks.

  Raises:
    ValueError: If the rank differs or is unknown.
  """
  actual = getattr(tensor, 'shape', None)
  ranks = expected if isinstance(expected, set) else {expected}
  if isinstance(actual, tf.TensorShape) and actual.rank is None:
    raise ValueError(
        f'{argument}: expected rank {expected}, got a tensor of unknown rank; '
        'set its rank with tf.ensure_shape.'
    )
  if actual is not None and len(actual) in ranks:
    return
  # Imported only for its message, since it loads JAX, about 100 MB.
  import chex

  try:
    chex.assert_rank(tensor, expected)
  except AssertionError as error:
    raise ValueError(f'{argument}: {error}') from None


def sizes_of(tensor: tf.Tensor) -> list[int | tf.Tensor]:
  """Returns the size of each axis, as a Python integer where it is known.

  Args:
    tensor: A tensor of known rank.

  Returns:
    Python integers and, for sizes unknown while tracing, int32 tensors ``[]``.
  """
  return [
      tf.shape(tensor)[axis] if size is None else size
      for axis, size in enumerate(tensor.shape)
  ]


def shape(
    argument: str, tensor: tf.Tensor, expected: Sequence[Size]
) -> tf.Tensor:
  """Checks the shape of a tensor, even where it is unknown while tracing.

  Args:
    argument: The name of the argument, for the message.
    tensor: The tensor to check, of known rank.
    expected: The size of each axis, such as `sizes_of` another tensor; None
      allows any size.

  Returns:
    The tensor, with an assertion if sizes are unknown.

  Raises:
    ValueError: If the shape differs or its rank is unknown.
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
  """Checks that tensors have equal shapes, even if unknown while tracing.

  Args:
    **tensors: The tensors by argument name.

  Returns:
    The tensors in their order, with assertions if shapes are unknown.

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
  """Checks that tensors have equally many examples.

  Args:
    **tensors: The tensors ``[batch_size, ...]`` by argument name.

  Returns:
    The tensors in their order, with assertions if sizes are unknown.

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
      if tensor is not first
      else first
      for name, tensor in tensors.items()
  ]


def leading(argument: str, weights: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
  """Broadcasts weights over the trailing axes of values.

  Args:
    argument: The name of the weights' argument, for the message.
    weights: A tensor whose shape is that of the first axes of the values, such
      as one weight per example ``[batch_size]``.
    values: A tensor ``[batch_size, ...]`` of known rank.

  Returns:
    The weights in the shape of the values, with an assertion if unknown.

  Raises:
    ValueError: If the weights have no axes, or their axes do not match.
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
  with tf.name_scope(re.sub(r'[^A-Za-z0-9_.]', '_', f'shape_of_{name}')):
    actual = tf.shape(tensor)
    is_same = tf.size(actual) == tf.size(wanted)
    rank = tf.minimum(tf.size(actual), tf.size(wanted))
    is_same &= tf.reduce_all(actual[:rank] == wanted[:rank])
    failure = tf.debugging.Assert(is_same, [message, wanted, 'got', actual])
    with tf.control_dependencies([failure]):
      # Not the reshape itself: Grappler drops a reshape of a vector to a
      # vector, and operations after it would not wait for the assertion.
      checked = tf.identity(tensor)
    # XLA drops the assertion, but refuses a negative size.
    checked = tf.reshape(checked, tf.where(is_same, wanted, -2))
  checked.set_shape(tensor.shape.merge_with(static))
  return checked


def number(argument: str, value: Any) -> None:
  """Checks that a hyperparameter is a single number and not a variable.

  A variable would be read once: later changes to it would be silently ignored,
  and it would not be saved.

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
        'read once and never saved; where schedules are accepted, pass a '
        'function of the step, and to change an optimizer during training, '
        'create it with optimizers.inject_hyperparams.'
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


def in_range(argument: str, value: float, low: float, high: float) -> None:
  """Checks that a number lies in a closed interval.

  A tensor whose value is unknown while tracing is not checked.

  Args:
    argument: The name of the argument, for the message.
    value: The number to check, or a tensor ``[]``.
    low: The minimum.
    high: The maximum.

  Raises:
    ValueError: If it does not, or is a `tf.Variable`.
  """
  _require(argument, value, lambda x: low <= x <= high, f'[{low}, {high}]')


def size(argument: str, number: int, low: int = 1) -> None:
  """Checks that a size is an integer and not too small.

  Args:
    argument: The name of the argument, for the message.
    number: The size.
    low: The minimum.

  Raises:
    TypeError: If it is not an integer.
    ValueError: If it is smaller than the minimum.
  """
  if not hasattr(number, '__index__'):
    raise TypeError(f'{argument}: expected an integer, got {number!r}.')
  if number < low:
    raise ValueError(f'{argument}: expected at least {low}, got {number}.')


def sizes(argument: str, numbers: Sequence[int]) -> None:
  """Checks that several sizes are integers of at least 1.

  Args:
    argument: The name of the argument, for the message.
    numbers: The sizes.

  Raises:
    TypeError, ValueError: As for `size`.
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
    value: The rate. A tensor ``[]`` unknown while tracing is not checked.

  Raises:
    ValueError: If it does not, or is a `tf.Variable`.
  """
  _require(argument, value, lambda x: 0 <= x < 1, 'a number in [0, 1)')


def one_of(argument: str, value: str, names: Sequence[str]) -> None:
  """Checks that a name is one of the known names.

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
  """Checks a number, unless it is a tensor whose value is unknown."""
  number(argument, value)
  if tf.is_tensor(value):
    if not hasattr(value, 'numpy'):
      return
    value = value.numpy()
  if not holds(value):
    raise ValueError(f'{argument}: expected {expected}, got {value}.')


def positive(argument: str, value: float) -> None:
  """Checks that a number is greater than 0.

  Args:
    argument: The name of the argument, for the message.
    value: The number. A tensor ``[]`` unknown while tracing is not checked.

  Raises:
    ValueError: If it is not, or is a `tf.Variable`.
  """
  _require(argument, value, lambda x: x > 0, 'a positive number')


def static(argument: str, value: Any) -> Any:
  """Returns a number that the structure of the graph depends on.

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
        'unknown while tracing, but the structure of the graph depends on it; '
        'pass a number (with inject_hyperparams, name it in static_args).'
    )
  return value.numpy()
