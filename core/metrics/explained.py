"""The share of the labels' variance that predictions explain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from . import digits, inputs, metric

_ROUNDING = 1e-14  # Relative size of float64 differences that are rounding.


def r2_score() -> metric.Metric:
  r"""Returns the coefficient of determination.

  .. math:: R^2 = 1 - \frac{\sum_i w_i (y_i - x_i)^2}
                           {\sum_i w_i (y_i - \bar y)^2}

  The deviation from the mean of all batches is a difference of additive sums.
  They are computed in float64 and stored as float32 digits that add exactly, so
  that the value has a relative error near 1e-15 (mean / deviation)^2 of the
  labels. Labels whose squared deviation is below 1e-14 of their mean square
  count as constant: the value is then 1 if the predictions are exact, else 0,
  as in scikit-learn.

  Returns:
    A metric of numbers. Each place of the axes that the weights lack is an
    output, and the value is averaged over outputs. It is ``[]``, at most 1, 0
    if all weights are 0.

  Raises:
    ValueError: From `measure`, if a shape is wrong.

  Reference:
    scikit-learn's ``r2_score``, with its uniform average over outputs.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.r2_score()
    >>> float(compute(measure([1., 2., 3.], [1., 2., 4.])))
    0.5
  """

  def compute(sums: Any) -> tf.Tensor:
    moments = _decode(sums)
    return _share_explained(moments, moments['error2'], sums['weight'].dtype)

  return metric.Metric(_measure, compute)


def explained_variance() -> metric.Metric:
  r"""Returns the share of the labels' variance that the predictions explain.

  .. math:: 1 - \frac{\mathrm{Var}(y - x)}{\mathrm{Var}(y)}

  Unlike in `r2_score`, a constant error does not count. Sums, precision and the
  rule for constant labels are those of `r2_score`.

  Returns:
    A metric of numbers, averaged over outputs as in `r2_score`. Its value is
    ``[]``, at most 1, 0 if all weights are 0.

  Raises:
    ValueError: From `measure`, if a shape is wrong.

  Reference:
    scikit-learn's ``explained_variance_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.explained_variance()
    >>> float(compute(measure([1., 2., 3.], [2., 3., 4.])))
    1.0
  """

  def compute(sums: Any) -> tf.Tensor:
    moments = _decode(sums)
    unexplained = _around_mean(moments, 'error')
    return _share_explained(moments, unexplained, sums['weight'].dtype)

  return metric.Metric(_measure, compute)


def _measure(
    labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
  labels, predictions, weights = inputs.numbers(
      weights, tf.float64, labels=labels, predictions=predictions
  )
  errors = labels - predictions
  weights = weights[:, tf.newaxis]
  sums = {
      'weight': weights,
      'label': weights * labels,
      'label2': weights * labels**2,
      'error': weights * errors,
      'error2': weights * errors**2,
  }
  return {
      name: digits.encode(tf.reduce_sum(terms, axis=0))
      for name, terms in sums.items()
  }


def _decode(sums: Any) -> tf.Tensor:
  return {name: digits.decode(value) for name, value in sums.items()}


def _around_mean(moments: Mapping[str, tf.Tensor], name: str) -> tf.Tensor:
  """Returns the sum of squared deviations, 0 if it is all rounding."""
  squares = moments[f'{name}2']
  of_mean = metric.divide(moments[name] ** 2, moments['weight'])
  around = squares - of_mean
  is_rounding = around <= _ROUNDING * squares
  return tf.where(is_rounding, tf.zeros_like(around), around)


def _share_explained(
    moments: tf.Tensor, unexplained: tf.Tensor, dtype: tf.DType
) -> tf.Tensor:
  around = _around_mean(moments, 'label')
  # If labels are constant, any error at all leaves nothing explained.
  shares = 1 - tf.where(
      tf.equal(around, 0),
      tf.sign(unexplained),
      metric.divide(unexplained, around),
  )
  is_empty = tf.equal(moments['weight'][0], 0)
  mean = tf.reduce_mean(shares)
  return tf.cast(tf.where(is_empty, tf.zeros_like(mean), mean), dtype)
