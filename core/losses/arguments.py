"""What the losses ask of their arguments, checked and converted on entry.

Labels out of range are an error of the data, and TensorFlow's own operations
answer it with an exception on one device and with silence on another. Here it
is one rule on every device: run eagerly, a loss raises ValueError; inside a
`tf.function`, where no value can be looked at, the loss of that example is NaN
(its gradient is zero), which the train step's guard against non-finite losses
reports. Padding needs a label in range as well: 0 will do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

from .. import checks

# Whether a class is possible: ``[num_classes]`` or the logits' shape, booleans.
ClassMask: TypeAlias = Sequence[bool] | tf.Tensor


def floats(argument: str, values: tf.Tensor) -> tf.Tensor:
  """Returns values in the precision that losses are computed in.

  Args:
    argument: The name of the argument, for the message.
    values: A floating point tensor of any shape.

  Returns:
    The same values: float64 stays, anything shorter becomes float32.

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
  """Returns labels and predictions of one shape and one precision.

  Args:
    labels: A tensor of numbers or booleans, of the predictions' shape.
    predictions: A floating point tensor ``[batch_size, ...]``.
    names: The names of both arguments, for the messages.

  Returns:
    Both as float32, or as float64 if the predictions are.

  Raises:
    TypeError: If the predictions are not floating point numbers.
    ValueError: If the shapes differ or there is no batch axis.
  """
  predictions = floats(names[1], predictions)
  labels = tf.cast(tf.convert_to_tensor(labels), predictions.dtype)
  predictions, labels = checks.same_shape(
      **{names[1]: predictions, names[0]: labels}
  )
  return labels, examples(names[1], predictions)


def examples(argument: str, values: tf.Tensor) -> tf.Tensor:
  """Returns `floats` of one or more numbers per example.

  Args:
    argument: The name of the argument, for the message.
    values: A floating point tensor ``[batch_size, ...]``.

  Raises:
    TypeError: If the values are not floating point numbers.
    ValueError: If there is no batch axis.
  """
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
  """Returns integer labels, logits and which labels name a possible class.

  Args:
    labels: ``[...]``, integers in [0, num_classes).
    logits: ``[..., num_classes]``, floating point.
    class_mask: As for `possible_logits`.

  Returns:
    The labels as int64, those that are wrong replaced by 0; the logits as
    float32 (or float64), minus infinity where the mask excludes the class (0
    where the label is wrong); and a boolean tensor ``[...]`` for `nan_unless`.

  Raises:
    TypeError: If the labels are not integers, the logits not floating point or
      the mask not boolean.
    ValueError: If the shapes do not fit or, eagerly, a label is out of range or
      names a class that is excluded.
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
    # No place of an example may spoil the others' gradients.
    logits = tf.where(valid[..., tf.newaxis], logits, tf.zeros_like(logits))
  return tf.where(valid, labels, 0), logits, valid


def distributions(
    labels: tf.Tensor,
    logits: tf.Tensor,
    class_mask: ClassMask | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
  """Returns label probabilities, logits and which labels are possible.

  Args:
    labels: ``[batch_size, ..., num_classes]``, probabilities.
    logits: ``[batch_size, ..., num_classes]``, floating point.
    class_mask: As for `possible_logits`.

  Returns:
    The labels and the logits in one precision, 0 and minus infinity where the
    mask excludes the class; and, where there is a mask, a boolean tensor
    ``[batch_size, ...]`` for `nan_unless`.

  Raises:
    TypeError: If the logits are not floating point or the mask not boolean.
    ValueError: If the shapes do not fit or, eagerly, a class that is excluded
      has a probability other than 0.
  """
  labels, logits = pair(labels, logits, names=('labels', 'logits'))
  class_axis('logits', logits)
  if class_mask is None:
    return labels, logits, None
  mask = _mask(class_mask, logits)
  valid = mask | tf.equal(labels, 0)
  expected = 'probability 0 for classes that class_mask excludes'
  require('labels', labels, valid, expected)
  valid = tf.reduce_all(valid, axis=-1) & tf.reduce_any(mask, axis=-1)
  labels = tf.where(mask, labels, tf.zeros_like(labels))
  return labels, _excluding(mask, logits), valid


def possible_logits(
    class_mask: ClassMask | None, logits: tf.Tensor
) -> tf.Tensor:
  """Puts minus infinity for the logits of classes that a mask excludes.

  Args:
    class_mask: ``[num_classes]`` or the logits' shape, booleans: whether the
      class is possible. None excludes none.
    logits: ``[..., num_classes]``, floating point.

  Returns:
    A tensor of the logits' shape. What it replaces gets a gradient of 0,
    whatever it is.

  Raises:
    TypeError: If the mask is not boolean.
    ValueError: If it has another shape.
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
  """Checks that logits have a batch axis before the axis of classes.

  Raises:
    ValueError: If they have not.
  """
  shape = tf.convert_to_tensor(logits).shape
  if shape.rank is not None and shape.rank < 2:
    raise ValueError(
        f'{argument}: expected [batch_size, ..., num_classes], got shape '
        f'{shape}.'
    )


def binary(
    labels: tf.Tensor, logits: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Returns binary labels, logits and which labels are probabilities.

  Args:
    labels: ``[batch_size, ...]``, numbers in [0, 1] or booleans.
    logits: ``[batch_size, ...]``, floating point, of the labels' shape.

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
  """Raises, where values can be looked at, if not all of them are valid.

  Args:
    argument: The name of the argument, for the message.
    values: The tensor to blame.
    valid: Which of the values are as expected, a boolean of their shape.
    expected: What is expected, in words.

  Raises:
    ValueError: If run eagerly and a value is not valid.
  """
  if tf.executing_eagerly() and not tf.reduce_all(valid):
    wrong = tf.boolean_mask(values, ~valid)[0].numpy()
    raise ValueError(f'{argument}: expected {expected}, got {wrong}.')


def nan_unless(valid: tf.Tensor | None, values: tf.Tensor) -> tf.Tensor:
  """Returns values, with NaN (of zero gradient) where they are not valid.

  Args:
    valid: Booleans of the values' shape. None takes all for valid.
    values: A floating point tensor.
  """
  if valid is None:
    return values
  return tf.where(valid, values, tf.constant(float('nan'), values.dtype))


def class_weights(
    weights: Sequence[float] | tf.Tensor, logits: tf.Tensor
) -> tf.Tensor:
  """Returns the weight of each class as a tensor of the logits' precision.

  Args:
    weights: ``[num_classes]``, numbers >= 0.
    logits: ``[..., num_classes]``, which tells num_classes and the precision.

  Raises:
    ValueError: If there is not one weight per class.
  """
  tensor = tf.cast(tf.convert_to_tensor(weights), logits.dtype)
  return checks.shape('class_weights', tensor, checks.sizes_of(logits)[-1:])


def positive(argument: str, value: float) -> None:
  """Checks that a Python number is greater than zero.

  Raises:
    ValueError: If it is not.
  """
  checks.number(argument, value)
  if not value > 0:
    raise ValueError(f'{argument}: expected a number > 0, got {value}.')


def not_negative(argument: str, value: float) -> None:
  """Checks that a Python number is zero or greater.

  Raises:
    ValueError: If it is not.
  """
  checks.number(argument, value)
  if not value >= 0:
    raise ValueError(f'{argument}: expected a number >= 0, got {value}.')
