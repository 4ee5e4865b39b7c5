"""Checks and conversions of the losses' arguments.

TensorFlow's own operations raise for labels out of range on one device and
ignore them on another. Here one rule holds on every device: run eagerly, a loss
raises ValueError; inside a `tf.function`, where values cannot be inspected, the
loss of that example is NaN (with gradient zero), which the train step's guard
against non-finite losses reports. Padding needs a label in range, such as 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

from .. import checks

# Which classes are possible: ``[num_classes]`` or the logits' shape, booleans.
ClassMask: TypeAlias = Sequence[bool] | tf.Tensor

# By how much sums of half-precision probabilities may differ from 1.
_ROUNDING = 0.01


def floats(argument: str, values: tf.Tensor) -> tf.Tensor:
  """Casts floating point values to float32; float64 is kept.

  Raises:
    TypeError: If the values are not floating point numbers.
  """
  tensor = tf.convert_to_tensor(values)
  if not tensor.dtype.is_floating:
    raise TypeError(
        f'{argument}: expected floating point numbers, got '
        f'{tensor.dtype.name}; convert with tf.cast(..., tf.float32).'
    )
  return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def pair(
    labels: tf.Tensor,
    predictions: tf.Tensor,
    *,
    names: tuple[str, str] = ('labels', 'predictions'),
) -> tuple[tf.Tensor, tf.Tensor]:
  """Casts labels to the precision of floating point predictions, see `floats`.

  The predictions are ``[batch_size, ...]``, the labels numbers or booleans of
  their shape; `names` are for the messages.

  Raises:
    TypeError: If the predictions are not floating point numbers.
    ValueError: If the shapes differ or there is no batch axis.
  """
  predictions = floats(names[1], predictions)
  labels = tf.cast(tf.convert_to_tensor(labels), predictions.dtype)
  predictions, labels = checks.same_shape(
      **{names[1]: predictions, names[0]: labels}
  )
  return labels, batched(names[1], predictions)


def batched(argument: str, values: tf.Tensor) -> tf.Tensor:
  """Returns `floats` of an argument that must have a batch axis."""
  values = floats(argument, values)
  if not values.shape.rank:
    raise ValueError(
        f'{argument}: expected a batch axis, got shape {values.shape}.'
    )
  return values


def classes(
    labels: tf.Tensor,
    logits: tf.Tensor,
    class_mask: ClassMask | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Checks integer labels ``[...]`` and logits ``[..., num_classes]``.

  Returns:
    The labels as int64, invalid ones replaced by 0; the logits as float32 (or
    float64), minus infinity where the mask excludes the class (0 where the
    label is invalid); and a boolean tensor ``[...]`` for `nan_unless`.

  Raises:
    TypeError: If a dtype is wrong.
    ValueError: If the shapes do not fit or, eagerly, a label is out of range or
      excluded.
  """
  logits = floats('logits', logits)
  labels = tf.convert_to_tensor(labels)
  checks.integers('labels', labels)
  if not logits.shape.rank:
    raise ValueError(
        f'logits: expected [..., num_classes], got shape {logits.shape}.'
    )
  labels = checks.shape('labels', labels, checks.sizes_of(logits)[:-1])
  labels = tf.cast(labels, tf.int64)
  num_classes = tf.shape(logits, tf.int64)[-1]
  valid = (labels >= 0) & (labels < num_classes)
  require('labels', labels, valid, f'integers in [0, {logits.shape[-1]})')
  if class_mask is not None:
    mask = _mask(class_mask, logits)
    known = tf.where(valid, labels, 0)
    valid &= tf.gather(mask, known, axis=-1, batch_dims=mask.shape.rank - 1)
    require('labels', labels, valid, 'classes that class_mask leaves possible')
    logits = _excluding(mask, logits)
    # One invalid place must not spoil the gradients of an example's others.
    logits = tf.where(valid[..., tf.newaxis], logits, tf.zeros_like(logits))
  return tf.where(valid, labels, 0), logits, valid


def distributions(
    labels: tf.Tensor,
    logits: tf.Tensor,
    class_mask: ClassMask | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Checks label probabilities and logits ``[batch_size, ..., num_classes]``.

  Returns:
    The labels and the logits in one precision, 0 and minus infinity where the
    mask excludes the class; and a boolean tensor ``[batch_size, ...]`` for
    `nan_unless`.

  Raises:
    TypeError: If the logits are not floating point or the mask not boolean.
    ValueError: If the shapes do not fit or, eagerly, labels are no
      probabilities or an excluded class has one other than 0.
  """
  labels, logits = pair(labels, logits, names=('labels', 'logits'))
  class_axis('logits', logits)
  total = tf.reduce_sum(labels, axis=-1)
  valid = (abs(total - 1) < _ROUNDING) | tf.equal(total, 0)
  valid &= tf.reduce_min(labels, axis=-1) >= 0
  # So a call with Optax's order, logits first, fails.
  expected = 'integers, or probabilities that add up to 1'
  require('labels', labels, valid, f'{expected} (labels come before logits)')
  # One invalid place must not spoil the gradients of an example's others.
  uniform = tf.fill(tf.shape(labels), 1 / tf.shape(labels)[-1])
  labels = tf.where(
      valid[..., tf.newaxis], labels, tf.cast(uniform, labels.dtype)
  )
  if class_mask is None:
    return labels, logits, valid
  mask = _mask(class_mask, logits)
  known = mask | tf.equal(labels, 0)
  expected = 'probability 0 for classes that class_mask excludes'
  require('labels', labels, known, expected)
  valid &= tf.reduce_all(known, axis=-1) & tf.reduce_any(mask, axis=-1)
  labels = tf.where(mask, labels, tf.zeros_like(labels))
  return labels, _excluding(mask, logits), valid


def possible_logits(
    class_mask: ClassMask | None, logits: tf.Tensor
) -> tf.Tensor:
  """Replaces the logits of excluded classes by minus infinity, with gradient 0.

  The mask is ``[num_classes]`` or of the logits' shape, see `ClassMask`.

  Raises:
    TypeError: If the mask is not boolean.
    ValueError: If its shape does not fit.
  """
  if class_mask is None:
    return logits
  return _excluding(_mask(class_mask, logits), logits)


def _excluding(mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
  return tf.where(mask, logits, tf.constant(-math.inf, logits.dtype))


def _mask(class_mask: ClassMask, logits: tf.Tensor) -> tf.Tensor:
  mask = tf.convert_to_tensor(class_mask)
  if not mask.dtype.is_bool:
    raise TypeError(
        f'class_mask: expected booleans, got {mask.dtype.name}; convert with '
        'tf.cast(..., tf.bool).'
    )
  sizes = checks.sizes_of(logits)
  return checks.shape(
      'class_mask', mask, sizes[-1:] if mask.shape.rank == 1 else sizes
  )


def class_axis(argument: str, logits: tf.Tensor) -> None:
  """Raises ValueError unless logits have axes of examples and of classes."""
  shape = tf.convert_to_tensor(logits).shape
  if shape.rank is not None and shape.rank < 2:
    raise ValueError(
        f'{argument}: expected [batch_size, ..., num_classes], got shape '
        f'{shape}.'
    )


def binary(
    labels: tf.Tensor, logits: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Checks labels in [0, 1] and logits of their shape ``[batch_size, ...]``.

  Returns:
    The labels and the logits in one precision, and a boolean tensor of their
    shape for `nan_unless`.

  Raises:
    TypeError: If the logits are not floating point numbers.
    ValueError: If the shapes differ or, eagerly, a label is out of range.
  """
  labels, logits = pair(labels, logits, names=('labels', 'logits'))
  valid = (labels >= 0) & (labels <= 1)
  require('labels', labels, valid, 'numbers in [0, 1]')
  return labels, logits, valid


def require(
    argument: str, values: tf.Tensor, valid: tf.Tensor, expected: str
) -> None:
  """Raises ValueError, if run eagerly, with the first invalid value.

  Args:
    argument: The name of the argument, for the message.
    values: A tensor.
    valid: Which of the values are valid, booleans of their shape.
    expected: What is expected, in words.
  """
  if tf.executing_eagerly() and not tf.reduce_all(valid):
    wrong = tf.boolean_mask(values, ~valid)[0].numpy()
    raise ValueError(f'{argument}: expected {expected}, got {wrong}.')


def nan_unless(valid: tf.Tensor | None, values: tf.Tensor) -> tf.Tensor:
  """Replaces values that are not valid (booleans of their shape) by NaN.

  The gradient there is 0. If `valid` is None, all values are valid.
  """
  if valid is None:
    return values
  return tf.where(valid, values, tf.constant(float('nan'), values.dtype))


def class_weights(
    weights: Sequence[float] | tf.Tensor, logits: tf.Tensor
) -> tf.Tensor:
  """Casts weights ``[num_classes]`` to the logits' precision.

  Raises:
    ValueError: If there is not one weight per class.
  """
  tensor = tf.cast(tf.convert_to_tensor(weights), logits.dtype)
  return checks.shape('class_weights', tensor, checks.sizes_of(logits)[-1:])


def positive(argument: str, value: float) -> None:
  """Raises ValueError unless a Python number is greater than 0."""
  checks.number(argument, value)
  if not value > 0:
    raise ValueError(f'{argument}: expected a number > 0, got {value}.')


def not_negative(argument: str, value: float) -> None:
  """Raises ValueError if a Python number is negative."""
  checks.number(argument, value)
  if not value >= 0:
    raise ValueError(f'{argument}: expected a number >= 0, got {value}.')
