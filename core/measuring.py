"""Computes what one replica's part of a batch adds to the sums of a step."""

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
  """Checks the structure of a batch.

  Args:
    batch: The batch passed to a step.

  Raises:
    TypeError: If it is not a mapping, or its weight not a float32 tensor.
    ValueError: If the weight has no axes.
  """
  if not isinstance(batch, Mapping):
    raise TypeError(
        'batch: expected a mapping of names to tensors, got a '
        f'{type(batch).__name__}; name its parts, as in dataset.map(lambda '
        "image, label: {'image': image, 'label': label})."
    )
  if not isinstance(batch.get(padding.IS_PADDED, True), bool):
    raise TypeError(
        f'batch: {padding.IS_PADDED!r} is reserved for a Python bool that says '
        'whether weights may be 0; rename this tensor.'
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
  """Replaces NaN and infinities by zeros in examples of weight 0.

  A weight of 0 excludes them from the sums but not from the gradients, where 0
  times NaN is NaN. Finite numbers are kept, for objectives that learn from
  unlabeled examples. Integers are replaced only in eager calls, where losses
  would raise errors for labels that are out of range.

  Args:
    batch: A batch; returned unchanged if it has no `weight` ``[batch_size,
      ...]``. An example has weight 0 if all of its positions do; the `label` is
      cleared at each position of weight 0.
    is_padded: Whether weights may differ from 1.

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
    # Reshaped, since the static shape must be that of the value.
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
  """Returns which values may be kept where the weight is 0."""
  if value.dtype.is_floating:
    return tf.math.is_finite(value)
  return tf.equal(value, 0)


def _holds(value: Any, is_counted: tf.Tensor) -> bool:
  """Returns whether a value is a float tensor with entries per example."""
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
  """Sums the losses and metrics of one replica.

  The penalty is added once per unit of weight, so that the sum over replicas
  divided by the sum of weights includes it exactly once.

  Args:
    metric: The metric to compute. If None, only the loss is computed.
    evaluation: The result of the objective for the batch.
    batch: The batch, with or without `label` and `weight`.
    is_padded: Whether the weights of the batch may differ from 1.

  Returns:
    The loss to differentiate, ``[]``, and the sums.

  Raises:
    TypeError: If the evaluation is not an `Evaluation`, or values or weights
      have the wrong dtype.
    ValueError: If the values have no axes, the weights' shape differs, there is
      not one label or prediction per example, or the penalty is not a scalar.
      Shapes unknown while tracing are asserted at run time.
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
      # The metric checks nests and sparse or ragged tensors.
      checks.same_batch(**{'values': values, name: part})[1]
      if isinstance(part, tf.Tensor)
      else part
      for name, part in (
          ('label', batch.get('label') if label is None else label),
          ('predictions', _constant(evaluation.predictions)),
      )
  )
  # Padding must not contribute, even if its loss is not finite.
  values = tf.where(weights > 0, values, tf.zeros_like(values))
  weight = tf.reduce_sum(weights)
  loss = tf.reduce_sum(values * weights) + penalty * weight
  measured = {}
  if metric is not None:
    with metric_inputs.of_batch(lambda: _of_batch(batch, is_padded, values)):
      measured = metric.measure(label, predictions, weights)
  return loss, {'loss': loss, 'weight': weight, 'metrics': measured}


def _values(evaluation: objectives.Evaluation) -> tf.Tensor:
  """Returns the losses as float32, or as float64 if they are float64."""
  if not isinstance(evaluation, objectives.Evaluation):
    raise TypeError(
        'objective: expected an objectives.Evaluation, got a '
        f'{type(evaluation).__name__}; return objectives.Evaluation(values), '
        'with one loss per example.'
    )
  values = tf.convert_to_tensor(evaluation.values)
  if not values.dtype.is_floating:
    raise TypeError(
        'values: expected floating point numbers, got '
        f'{values.dtype.name}; convert with tf.cast(..., tf.float32).'
    )
  if not values.shape.rank:
    raise ValueError(
        'values: expected one loss per example, [batch_size] or more axes, '
        f'got shape {values.shape}; do not reduce it, the step does.'
    )
  return values if values.dtype.size > 4 else tf.cast(values, tf.float32)


def _weights(
    evaluation: objectives.Evaluation,
    of_batch: tf.Tensor | None,
    values: tf.Tensor,
) -> tf.Tensor:
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
  # Padding stays padding, whatever weights the objective returns for it.
  return _nan_if_negative(tf.math.multiply_no_nan(own, of_batch))


def _of_batch(
    batch: objectives.Batch, is_padded: bool, values: tf.Tensor
) -> tf.Tensor:
  weight = batch.get('weight') if is_padded else None
  if weight is None:
    return tf.ones(checks.sizes_of(values)[:1])
  return _nan_if_negative(tf.convert_to_tensor(weight))


def _nan_if_negative(weights: tf.Tensor) -> tf.Tensor:
  """Replaces negative weights, which would reverse the gradient, by NaN."""
  nan = tf.constant(math.nan, weights.dtype)
  return tf.where(weights < 0, nan, weights)


def _constant(predictions: Any) -> Any:
  return tf.nest.map_structure(
      lambda part: part if part is None else tf.stop_gradient(part),
      predictions,
      expand_composites=True,
  )
