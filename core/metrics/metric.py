"""Metrics as two pure functions around additive sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from .. import checks

Sums = Any
"""A nest of float tensors; merging two is adding them leaf by leaf."""


class Metric(NamedTuple):
  """A metric as a pair of pure functions.

  Sums of batches, replicas, workers and epochs are merged by ``+``, so an
  all-reduce is a SUM and the value is that of all examples together:

    compute(measure(a) + measure(b)) = compute(measure(a and b))

  Attributes:
    measure: ``(labels, predictions, weights=None) -> sums``, a nest of float32
      tensors whose shapes do not depend on the batch.
    compute: ``(sums) -> value``, a tensor or a nest of tensors in the dtype of
      the sums, float32 or float64.

  Reference:
    The merge and compute algebra of CommonLoopUtils
    (https://github.com/google/CommonLoopUtils, clu/metrics.py), with addition
    as the only merge.

  Example:
    >>> from core import metrics
    >>> metric = metrics.accuracy()
    >>> first = metric.measure([0, 1], [[2., 1.], [2., 1.]])
    >>> second = metric.measure([0, 0], [[2., 1.], [2., 1.]])
    >>> float(metric.compute(tf.nest.map_structure(tf.add, first, second)))
    0.75
  """

  measure: Callable[..., Sums]
  compute: Callable[[Sums], Any]


class Collection(Metric):
  """A metric made of several by `collection`.

  Attributes:
    measure: ``(labels, predictions, weights=None) -> sums``, see `Metric`.
    compute: ``(sums) -> values``, a dict of the members' values by name.
  """

  __slots__ = ()


def collection(metrics: Mapping[str, Metric]) -> Collection:
  """Combines named metrics into one that measures shared sums once.

  Members whose ``measure`` is equal share their sums: precision, recall and F1
  of ten classes are all computed from one confusion matrix, also for one output
  of several (see `of`).

  Args:
    metrics: The members by name.

  Returns:
    A metric whose ``compute`` returns a dict of the members' values by name.

  Raises:
    ValueError: If there is no member.
    TypeError: If a member is not a `Metric`.

  Reference:
    The MetricCollection of torchmetrics and its compute groups
    (https://lightning.ai/docs/torchmetrics/stable/pages/overview.html), which
    it finds by comparing states.

  Example:
    >>> from core import metrics
    >>> both = metrics.collection({
    ...     'accuracy': metrics.accuracy(), 'f1': metrics.f1_score(2)})
    >>> sums = both.measure([0, 1], [[2., 1.], [1., 2.]])
    >>> {name: float(value) for name, value in both.compute(sums).items()}
    {'accuracy': 1.0, 'f1': 1.0}
  """
  if not metrics:
    raise ValueError('metrics: expected at least one member, got none.')
  members = dict(metrics)
  for name, member in members.items():
    if not isinstance(member, Metric):
      raise TypeError(
          f'metrics: {name!r} is {member!r}, not a Metric; call the factory, '
          'as in metrics.accuracy().'
      )
  # The first member with a measure owns its sums.
  owners: dict[Callable[..., Sums], str] = {}
  for name, member in members.items():
    owners.setdefault(member.measure, name)

  def measure(
      labels: tf.Tensor,
      predictions: tf.Tensor,
      weights: tf.Tensor | None = None,
  ) -> Any:
    return {
        name: measure(labels, predictions, weights)
        for measure, name in owners.items()
    }

  def compute(sums: Any) -> tf.Tensor:
    return {
        name: member.compute(sums[owners[member.measure]])
        for name, member in members.items()
    }

  return Collection(measure, compute)


def weighted_sums(
    values: tf.Tensor, weights: tf.Tensor
) -> dict[str, tf.Tensor]:
  """Returns the sums of a weighted mean: of weighted values, and of weights.

  Both sums are ``[]`` float32, of values and weights ``[size]`` in float32 or
  float64. Values must be finite where the weight is 0.
  """
  values, weights = checks.same_shape(values=values, weights=weights)
  total = tf.reduce_sum(values * tf.cast(weights, values.dtype))
  return {
      'total': tf.cast(total, tf.float32),
      'weight': tf.cast(tf.reduce_sum(weights), tf.float32),
  }


def weighted_mean(sums: Mapping[str, tf.Tensor]) -> tf.Tensor:
  """Returns the mean from `weighted_sums`, 0 if the weights add up to 0."""
  return divide(sums['total'], sums['weight'])


def divide(
    numerator: tf.Tensor, denominator: tf.Tensor, undefined: float = 0.0
) -> tf.Tensor:
  """Divides, with a given value where the denominator is 0."""
  numerator = tf.convert_to_tensor(numerator)
  denominator = tf.convert_to_tensor(denominator)
  is_zero = tf.equal(denominator, 0)
  safe = tf.where(is_zero, tf.ones_like(denominator), denominator)
  return tf.where(is_zero, tf.cast(undefined, safe.dtype), numerator / safe)
