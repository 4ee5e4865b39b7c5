"""What one replica's part of a batch adds to the sums of a step."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import checks, metrics, objectives

Sums = Any  # A nest of additive tensors: the loss's, and those of the metric.


def without_garbage(batch: objectives.Batch) -> dict[str, Any]:
  """Puts zeros for NaN and infinities in examples of weight 0.

  A weight of 0 keeps them out of the sums, but not out of the gradients: there
  0 times NaN is NaN. Finite numbers stay, for objectives that learn from
  examples without a label. Integers, sparse and ragged values stay, too.

  Args:
    batch: A batch with `weight` ``[batch_size]``.

  Returns:
    The batch.
  """
  is_counted = tf.not_equal(batch['weight'], 0)

  def cleared(value: Any) -> Any:
    if not _holds_examples(value, is_counted):
      return value
    column = tf.reshape(is_counted, [-1] + [1] * (value.shape.rank - 1))
    is_kept = column | tf.math.is_finite(value)
    # The shape is known to be the value's, and is not broadcast.
    return tf.reshape(
        tf.where(is_kept, value, tf.zeros_like(value)), checks.sizes_of(value)
    )

  return {
      name: value if name == 'weight' else tf.nest.map_structure(cleared, value)
      for name, value in batch.items()
  }


def _holds_examples(value: Any, is_counted: tf.Tensor) -> bool:
  """Returns whether a value is a tensor of floats, with a row per example."""
  return (
      isinstance(value, tf.Tensor)
      and value.dtype.is_floating
      and bool(value.shape.rank)
      and value.shape[:1].is_compatible_with(is_counted.shape)
  )


def measure(
    metric: metrics.Metric,
    evaluation: objectives.Evaluation,
    batch: objectives.Batch,
) -> tuple[tf.Tensor, Sums]:
  """Sums up a replica's losses and metrics.

  The penalty counts once for each example, so that the sum over replicas
  divided by the sum of weights holds it exactly once.

  Args:
    metric: What is measured.
    evaluation: What the objective made of the batch.
    batch: The batch, with `label` and `weight` ``[batch_size]``.

  Returns:
    The loss to take the gradient of, ``[]``, and the sums.

  Raises:
    ValueError: If values or weight are not ``[batch_size]``, a label or a
      prediction is not one per example, or the penalty is not ``[]``. What is
      unknown while tracing is asserted when the step runs, see `checks`.
  """
  values = tf.convert_to_tensor(evaluation.values)
  checks.rank('values', values, 1)
  values, weights = checks.same_shape(values=values, weight=batch['weight'])
  penalty = tf.convert_to_tensor(evaluation.penalty)
  penalty = checks.shape('penalty', penalty, [])
  predictions = tf.nest.map_structure(
      tf.stop_gradient, evaluation.predictions
  )
  label, predictions = (
      # Nests, and what is sparse or ragged, are the metric's to check.
      checks.same_batch(**{'values': values, name: part})[1]
      if isinstance(part, tf.Tensor)
      else part
      for name, part in (
          ('label', batch['label']), ('predictions', predictions)
      )
  )
  # A padded example must not matter even where its loss is not finite.
  values = tf.where(weights > 0, values, 0.0)
  weight = tf.reduce_sum(weights)
  loss = tf.reduce_sum(values * weights) + penalty * weight
  return loss, {
      'loss': loss,
      'weight': weight,
      'metrics': metric.measure(label, predictions, weights),
  }
