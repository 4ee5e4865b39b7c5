"""What one replica's part of a batch adds to the sums of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from . import checks, metrics, objectives, padding
from . import rows as rows_lib
from .metrics import inputs as metric_inputs

Sums = Any  # A nest of additive tensors: the loss's, and those of the metric.


def check_batch(batch: Any) -> None:
  """Checks what every batch has to be.

  Args:
    batch: What was given to a step.

  Raises:
    TypeError: If it is no mapping, or its weight no tensor of float32.
    ValueError: If the weight has no axes.
  """
  if not isinstance(batch, Mapping):
    raise TypeError(
        f'batch: expected a mapping of names to tensors, got a '
        f'{type(batch).__name__}; name its parts, as in dataset.map(lambda '
        "image, label: {'image': image, 'label': label})."
    )
  if not isinstance(batch.get(padding.IS_PADDED, True), bool):
    raise TypeError(
        f'batch: {padding.IS_PADDED!r} is no tensor, but a Python bool that '
        'says whether weights may be 0; rename it.'
    )
  if batch.get('weight') is not None:
    _check_weights('weight', batch['weight'])


def _check_weights(argument: str, weights: Any) -> None:
  if isinstance(weights, Mapping | tf.RaggedTensor | tf.SparseTensor):
    kind = type(weights).__name__
    raise TypeError(f'{argument}: expected one dense tensor, got a {kind}.')
  weights = tf.convert_to_tensor(weights)
  if weights.dtype != tf.float32:
    raise TypeError(
        f'{argument}: expected float32, got {weights.dtype.name}; convert with '
        'tf.cast(..., tf.float32).'
    )
  if weights.shape.rank == 0:
    raise ValueError(f'{argument}: expected [batch_size, ...], got shape ().')


def without_garbage(
    batch: objectives.Batch, is_padded: bool = True
) -> dict[str, Any]:
  """Puts zeros for NaN and infinities in examples of weight 0.

  A weight of 0 keeps them out of the sums, but not out of the gradients: there
  0 times NaN is NaN. Finite numbers stay, for objectives that learn from
  examples without a label. Integers stay, too, but for eager calls: there
  losses would raise for a label that is out of range.

  Args:
    batch: A batch. Without a `weight` ``[batch_size, ...]`` it stays as it is.
      An example is of weight 0 where all of its places are; a place of the
      `label` where it is of weight 0 itself.
    is_padded: Whether weights may be other than 1.

  Returns:
    The batch.
  """
  weight = batch.get('weight')
  if weight is None or not is_padded:
    return dict(batch)
  counted = is_counted = tf.not_equal(weight, 0)
  if (weight.shape.rank or 0) > 1:
    places = list(range(1, weight.shape.rank))
    is_counted = tf.reduce_any(counted, axis=places)

  def cleared(value: Any, is_counted: tf.Tensor = is_counted) -> Any:
    if isinstance(value, tf.RaggedTensor | tf.SparseTensor):
      return _cleared_rows(value, is_counted)
    if not _holds(value, is_counted):
      return value
    rank = is_counted.shape.rank
    column = tf.reshape(
        is_counted,
        checks.sizes_of(is_counted) + [1] * (value.shape.rank - rank),
    )
    is_kept = column | _is_harmless(value)
    # The shape is known to be the value's, and is not broadcast.
    return tf.reshape(
        tf.where(is_kept, value, tf.zeros_like(value)), checks.sizes_of(value)
    )

  batch = {
      name: value if name == 'weight' else tf.nest.map_structure(cleared, value)
      for name, value in batch.items()
  }
  if _holds(batch.get('label'), counted):
    batch['label'] = cleared(batch['label'], counted)
  return batch


def _cleared_rows(
    value: tf.RaggedTensor | tf.SparseTensor, is_counted: tf.Tensor
) -> tf.RaggedTensor | tf.SparseTensor:
  """Puts zeros for what is not finite in rows of weight 0."""
  if not value.dtype.is_floating or is_counted.shape.rank != 1:
    return value
  numbers, rows = rows_lib.values_of(value)
  column = tf.reshape(
      tf.gather(is_counted, rows), [-1] + [1] * (len(numbers.shape) - 1)
  )
  is_kept = column | tf.math.is_finite(numbers)
  kept = tf.where(is_kept, numbers, tf.zeros_like(numbers))
  return rows_lib.with_values(value, kept)


def _is_harmless(value: tf.Tensor) -> tf.Tensor:
  """Returns which values may stay where the weight is 0."""
  if value.dtype.is_floating:
    return tf.math.is_finite(value)
  return tf.equal(value, 0)


def _holds(value: Any, is_counted: tf.Tensor) -> bool:
  """Returns whether a value is a tensor of floats, with numbers for each."""
  rank = is_counted.shape.rank
  return (
      isinstance(value, tf.Tensor)
      and (
          value.dtype.is_floating
          or (value.dtype.is_integer and tf.executing_eagerly())
      )
      and bool(value.shape.rank)
      and rank is not None
      and value.shape.rank >= rank
      and value.shape[:rank].is_compatible_with(is_counted.shape)
  )


def measure(
    metric: metrics.Metric | None,
    evaluation: objectives.Evaluation,
    batch: objectives.Batch,
    is_padded: bool = True,
) -> tuple[tf.Tensor, Sums]:
  """Sums up a replica's losses and metrics.

  The penalty counts once for each unit of weight, so that the sum over replicas
  divided by the sum of weights holds it exactly once.

  Args:
    metric: What is measured; None for nothing but the loss.
    evaluation: What the objective made of the batch.
    batch: The batch, with `label` and `weight` or without.
    is_padded: Whether the batch's weights may be other than 1.

  Returns:
    The loss to take the gradient of, ``[]``, and the sums.

  Raises:
    TypeError: If the evaluation is none, or values or weights are of another
      dtype.
    ValueError: If the values have no axes, weights another shape, a label or a
      prediction is not one per example, or the penalty is not ``[]``. What is
      unknown while tracing is asserted when the step runs, see `checks`.
  """
  values = _values(evaluation)
  weights = _weights(
      evaluation, batch.get('weight') if is_padded else None, values
  )
  weights = tf.cast(weights, values.dtype)
  penalty = tf.convert_to_tensor(evaluation.penalty, dtype_hint=values.dtype)
  penalty = tf.cast(checks.shape('penalty', penalty, []), values.dtype)
  label = evaluation.labels
  label, predictions = (
      # Nests, and what is sparse or ragged, are the metric's to check.
      checks.same_batch(**{'values': values, name: part})[1]
      if isinstance(part, tf.Tensor)
      else part
      for name, part in (
          ('label', batch.get('label') if label is None else label),
          ('predictions', _constant(evaluation.predictions)),
      )
  )
  # A padded example must not matter even where its loss is not finite.
  values = tf.where(weights > 0, values, tf.zeros_like(values))
  weight = tf.reduce_sum(weights)
  loss = tf.reduce_sum(values * weights) + penalty * weight
  measured = {}
  if metric is not None:
    with metric_inputs.of_batch(lambda: _of_batch(batch, is_padded, values)):
      measured = metric.measure(label, predictions, weights)
  return loss, {'loss': loss, 'weight': weight, 'metrics': measured}


def _values(evaluation: objectives.Evaluation) -> tf.Tensor:
  """Returns the losses, float32 or, if they are, float64."""
  if not isinstance(evaluation, objectives.Evaluation):
    raise TypeError(
        'objective: expected an objectives.Evaluation, got a '
        f'{type(evaluation).__name__}; return objectives.Evaluation(values), '
        'with a loss for each example.'
    )
  values = tf.convert_to_tensor(evaluation.values)
  if not values.dtype.is_floating:
    raise TypeError(
        'values: expected floating point numbers, got '
        f'{values.dtype.name}; convert with tf.cast(..., tf.float32).'
    )
  if not values.shape.rank:
    raise ValueError(
        'values: expected a loss for each example, [batch_size] or more axes, '
        f'got shape {values.shape}; do not reduce it, the step does.'
    )
  return values if values.dtype.size > 4 else tf.cast(values, tf.float32)


def _weights(
    evaluation: objectives.Evaluation,
    of_batch: tf.Tensor | None,
    values: tf.Tensor,
) -> tf.Tensor:
  """Returns the batch's weights times the evaluation's, one for each value."""
  own = evaluation.weights
  if of_batch is not None:
    of_batch = checks.leading('weight', of_batch, values)
  if own is not None:
    own = tf.convert_to_tensor(own)
    _check_weights('weights', own)
    own = checks.same_shape(values=values, weights=own)[1]
  if own is None and of_batch is None:
    return tf.ones_like(values)
  if own is None or of_batch is None:
    return _nan_if_negative(of_batch if own is None else own)
  # Padding stays padding, whatever the objective makes of it.
  return _nan_if_negative(tf.math.multiply_no_nan(own, of_batch))


def _of_batch(
    batch: objectives.Batch, is_padded: bool, values: tf.Tensor
) -> tf.Tensor:
  """Returns the weights of the batch itself, one for each example or more."""
  weight = batch.get('weight') if is_padded else None
  if weight is None:
    return tf.ones(checks.sizes_of(values)[:1])
  return _nan_if_negative(tf.convert_to_tensor(weight))


def _nan_if_negative(weights: tf.Tensor) -> tf.Tensor:
  """Returns NaN for negative weights: a step would learn the opposite."""
  nan = tf.constant(math.nan, weights.dtype)
  return tf.where(weights < 0, nan, weights)


def _constant(predictions: Any) -> Any:
  return tf.nest.map_structure(
      lambda part: part if part is None else tf.stop_gradient(part),
      predictions,
      expand_composites=True,
  )
