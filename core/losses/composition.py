"""Combinations of named losses, with constant or scheduled weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from .. import checks

Weight = float | Callable[[tf.Tensor], tf.Tensor]


def weighted_sum(
    values: Mapping[str, tf.Tensor],
    weights: Mapping[str, Weight] | None = None,
    *,
    step: tf.Tensor | None = None,
) -> tf.Tensor:
  r"""Computes the weighted sum of named values.

  .. math:: \sum_n w_n(t) \, v_n

  Values of weight 0 are left out, even infinite and undefined ones.

  Args:
    values: By name, floating point tensors of one shape, such as losses
      ``[batch_size]`` or penalties ``[]``.
    weights: By name, a number or a schedule, ``fn(step) -> []``. Default: 1.
    step: ``[]``, an integer: the step at which to evaluate the schedules.

  Returns:
    A tensor of the values' shape.

  Raises:
    ValueError: If there are no values, their shapes differ, a weight has no
      value of its name or is not a scalar, or there is a schedule but no step.

  Example:
    >>> import tensorflow as tf
    >>> from core import losses
    >>> values = {'main': tf.constant(2.0), 'auxiliary': tf.constant(8.0)}
    >>> weights = {'auxiliary': lambda step: 0.5 ** tf.cast(step, tf.float32)}
    >>> float(losses.weighted_sum(values, weights, step=2))
    4.0
  """
  weights = weights or {}
  if not values:
    raise ValueError('values: expected at least one named value, got none.')
  for name in weights:
    checks.one_of('weights', name, list(values))
  tensors = {name: tf.convert_to_tensor(v) for name, v in values.items()}
  same = checks.same_shape(**tensors)
  return tf.add_n([
      _scale(value, _weight(name, weights.get(name, 1.0), step))
      for name, value in zip(tensors, same, strict=True)
  ])


def compose(
    losses: Mapping[str, Callable[..., tf.Tensor]],
    weights: Mapping[str, Weight] | None = None,
) -> Callable[..., tf.Tensor]:
  """Combines named losses into one.

  Args:
    losses: By name, functions ``fn(labels, predictions) -> [batch_size]``; each
      gets the same labels and predictions, tensors or nests of them.
    weights: By name, a number or a schedule, ``fn(step) -> []``. Default: 1.

  Returns:
    A loss ``fn(labels, predictions, *, step=None) -> [batch_size]``, the
    `weighted_sum` of the losses.

  Raises:
    ValueError: If there are no losses or a weight has no loss of its name; when
      called, if there is a schedule but no step.

  Example:
    >>> from core import losses
    >>> loss = losses.compose(
    ...     {'l1': losses.absolute_error, 'l2': losses.squared_error},
    ...     {'l2': 0.25})
    >>> loss([1.0, 2.0], [3.0, 2.0]).numpy().tolist()
    [3.0, 0.0]
  """
  if not losses:
    raise ValueError('losses: expected at least one named loss, got none.')
  for name in weights or {}:
    checks.one_of('weights', name, list(losses))

  def composed(
      labels: Any, predictions: Any, *, step: tf.Tensor | None = None
  ) -> tf.Tensor:
    values = {name: loss(labels, predictions) for name, loss in losses.items()}
    return weighted_sum(values, weights, step=step)

  return composed


def _scale(value: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
  # Not a plain product: 0 * inf would be NaN, in the gradient too.
  return tf.math.multiply_no_nan(value, tf.cast(weight, value.dtype))


def _weight(name: str, weight: Weight, step: tf.Tensor | None) -> tf.Tensor:
  if callable(weight):
    if step is None:
      raise ValueError(
          f'step: the weight of {name!r} is a schedule; give the step.'
      )
    weight = weight(tf.convert_to_tensor(step, tf.int64))
  return checks.shape(f'weights: {name}', tf.convert_to_tensor(weight), [])
