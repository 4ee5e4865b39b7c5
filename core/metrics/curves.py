r"""Areas under curves, from summed histograms of scores.

The area under a curve needs all scores in order, but only histograms can be
added. Each logit x falls in one of num_bins equal intervals of ``u(x) = x / (4
+ |x|)`` in (-1, 1): the bins are fine where logits usually are, and 20 and 30
stay apart, which a float32 sigmoid does not achieve. Many classes are scored
one against the rest, by the logit of the softmax probability, log(p / (1 - p)).

Only the order of positive and negative examples inside a bin is lost, so the
sums give a bound of the error: with :math:`p_b`, :math:`n_b` the shares of the
positive and negative examples in bin b,

.. math:: |\widehat{AUC} - AUC| \le \frac{1}{2} \sum_b p_b n_b

and likewise for average precision between the best and the worst order inside
each bin. `roc_auc_error_bound` and `average_precision_error_bound` compute it;
a collection measures the histograms once for all four. The bound is 0 and the
area is exact to rounding if no bin holds both kinds and, for average precision,
none holds several positive examples.

Averages over classes are 'macro', 'weighted' (by positive examples), 'micro'
(histograms summed over classes) or None (one value per class). Measuring a
batch takes memory in proportion to labels * num_classes * sqrt(num_bins), its
sums to num_classes * num_bins.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from .. import checks
from . import inputs, metric, precision_recall


class Histograms(NamedTuple):
  """Sums by bin, ``[num_classes, num_bins]``, or ``[1, num_bins]`` if binary.

  Attributes:
    positives: The weights of positive examples.
    negatives: The weights of negative examples.
    examples: The number of positive examples with a nonzero weight.
  """

  positives: tf.Tensor
  negatives: tf.Tensor
  examples: tf.Tensor


def roc_auc(
    num_classes: int | None = None,
    average: str | None = 'macro',
    num_bins: int = 4096,
) -> metric.Metric:
  """Returns the area under the receiver operating characteristic.

  That is the probability that a positive example scores above a negative one,
  with ties counted half. It is NaN without positive or without negative
  examples, and so is an average over classes that include such a class (unless
  its weight is 0).

  Args:
    num_classes: The number of classes, at least 2, one against the rest. If
      None, logits are binary.
    average: 'macro', 'micro', 'weighted' or None for one value per class.
    num_bins: The number of bins, a power of 2, at least 4.

  Returns:
    A metric of class or binary labels and logits. Its value is a scalar, or
    ``[num_classes]``.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    Hanley and McNeil, The meaning and use of the area under a receiver
    operating characteristic (ROC) curve, 1982; scikit-learn's ``roc_auc_score``
    with multi_class='ovr'.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.roc_auc()
    >>> float(compute(measure([0, 0, 1, 1], [-2., 1., 0., 3.])))
    0.75
  """
  return _area(_roc_auc, num_classes, average, num_bins)


def roc_auc_error_bound(
    num_classes: int | None = None,
    average: str | None = 'macro',
    num_bins: int = 4096,
) -> metric.Metric:
  """Returns how far `roc_auc` with these arguments can be from the exact value.

  For many classes the exact value is that of the computed (float32) softmax.

  Args:
    num_classes: The number of classes, at least 2. If None, logits are binary.
    average: 'macro', 'micro', 'weighted' or None for one value per class.
    num_bins: The number of bins, a power of 2, at least 4.

  Returns:
    A metric with the inputs and the value's shape of `roc_auc`. Its value is at
    least 0, and NaN where the area is.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    The pairs of examples that a histogram cannot order; see this module.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.roc_auc_error_bound()
    >>> float(compute(measure([0, 0, 1, 1], [-2., 1., 1., 3.])))
    0.125
  """
  return _area(_roc_auc_bound, num_classes, average, num_bins)


def average_precision(
    num_classes: int | None = None,
    average: str | None = 'macro',
    num_bins: int = 4096,
) -> metric.Metric:
  r"""Returns the area under the precision-recall curve, as a step function.

  .. math:: AP = \sum_n (R_n - R_{n-1}) P_n

  Args:
    num_classes: The number of classes, at least 2, one against the rest. If
      None, logits are binary.
    average: 'macro', 'micro', 'weighted' or None for one value per class.
    num_bins: The number of bins, a power of 2, at least 4.

  Returns:
    A metric of class or binary labels and logits. Its value is a scalar, or
    ``[num_classes]``, 0 without positive examples.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``average_precision_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.average_precision()
    >>> value = compute(measure([0, 0, 1, 1], [-2., 1., 0., 3.]))
    >>> round(float(value), 4)
    0.8333
  """
  return _area(_average_precision, num_classes, average, num_bins)


def average_precision_error_bound(
    num_classes: int | None = None,
    average: str | None = 'macro',
    num_bins: int = 4096,
) -> metric.Metric:
  """Returns how far `average_precision` can be from the exact value.

  For many classes the exact value is that of the computed (float32) softmax.

  Args:
    num_classes: The number of classes, at least 2. If None, logits are binary.
    average: 'macro', 'micro', 'weighted' or None for one value per class.
    num_bins: The number of bins, a power of 2, at least 4.

  Returns:
    A metric with the inputs and the value's shape of `average_precision`. Its
    value is at least 0.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    The best and the worst order of examples within each bin; see this module.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.average_precision_error_bound()
    >>> float(compute(measure([0, 0, 1, 1], [-2., 1., 2., 3.])))
    0.0
  """
  return _area(_average_precision_bound, num_classes, average, num_bins)


def _area(
    formula: Callable[[Histograms], tf.Tensor],
    num_classes: int | None,
    average: str | None,
    num_bins: int,
) -> metric.Metric:
  if num_classes is not None:
    num_classes = inputs.at_least('num_classes', num_classes, 2)
  if average is not None:
    checks.one_of('average', average, precision_recall.AVERAGES)
  num_bins = inputs.at_least('num_bins', num_bins, 4)
  if num_bins & (num_bins - 1):
    raise ValueError(
        f'num_bins: expected a power of 2, at least 4, got {num_bins}.'
    )

  def compute(sums: Any) -> tf.Tensor:
    histograms = Histograms(*(tf.cast(part, tf.float64) for part in sums))
    if num_classes is None or average == 'micro':
      histograms = Histograms(*(tf.reduce_sum(h, 0) for h in histograms))
    values = formula(histograms)
    if num_classes is not None and average in ('macro', 'weighted'):
      support = tf.reduce_sum(histograms.positives, axis=-1)
      values = _over_classes(values, support, average)
    return tf.cast(values, tf.convert_to_tensor(sums[0]).dtype)

  return metric.Metric(_measure_histograms(num_classes, num_bins), compute)


def _over_classes(
    values: tf.Tensor, support: tf.Tensor, average: str | None
) -> tf.Tensor:
  is_uniform = average == 'macro' or tf.equal(tf.reduce_sum(support), 0)
  weights = tf.where(is_uniform, tf.ones_like(support), support)
  # The area of a class without weight may be undefined; it must not matter.
  values = tf.where(tf.equal(weights, 0), tf.zeros_like(values), values)
  return tf.reduce_sum(values * weights) / tf.reduce_sum(weights)


def _roc_auc(histograms: tf.Tensor) -> tf.Tensor:
  positives, negatives, _ = histograms
  below = tf.cumsum(negatives, axis=-1, exclusive=True)
  pairs = tf.reduce_sum(positives * (below + negatives / 2), axis=-1)
  return metric.divide(pairs, _all_pairs(positives, negatives), math.nan)


def _roc_auc_bound(histograms: tf.Tensor) -> tf.Tensor:
  positives, negatives, _ = histograms
  mixed = tf.reduce_sum(positives * negatives, axis=-1) / 2
  return metric.divide(mixed, _all_pairs(positives, negatives), math.nan)


def _all_pairs(positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(positives, -1) * tf.reduce_sum(negatives, -1)


def _average_precision(histograms: tf.Tensor) -> tf.Tensor:
  positives, negatives, _ = histograms
  tp = tf.cumsum(positives, axis=-1, reverse=True)
  fp = tf.cumsum(negatives, axis=-1, reverse=True)
  found = tf.reduce_sum(positives * metric.divide(tp, tp + fp), axis=-1)
  return metric.divide(found, tf.reduce_sum(positives, axis=-1))


def _average_precision_bound(histograms: tf.Tensor) -> tf.Tensor:
  positives, negatives, examples = histograms
  tp = tf.cumsum(positives, axis=-1, reverse=True)
  fp = tf.cumsum(negatives, axis=-1, reverse=True)
  tp_above, fp_above = tp - positives, fp - negatives
  # Best: all positives of a bin tied before its negatives. Worst: behind them,
  # one by one, the integral of t / (t + fp) over the bin's positives.
  given = positives * metric.divide(tp, tp + fp)
  best = positives * metric.divide(tp, tp + fp_above)
  ratio = metric.divide(positives, tp_above + fp)
  in_turn = positives - fp * tf.math.log1p(ratio)
  worst = tf.where(examples > 1, in_turn, given)
  error = tf.maximum(
      tf.reduce_sum(best - given, axis=-1),
      tf.reduce_sum(given - worst, axis=-1),
  )
  return metric.divide(error, tf.reduce_sum(positives, axis=-1))


@functools.cache
def _measure_histograms(num_classes: int, num_bins: int) -> Callable[..., Any]:

  def measure(
      labels: tf.Tensor,
      predictions: tf.Tensor,
      weights: tf.Tensor | None = None,
  ) -> Any:
    if num_classes is None:
      labels, logits, weights = inputs.binary(labels, predictions, weights)
      scores = logits[:, tf.newaxis]  # [B, 1]
      is_positive = labels[:, tf.newaxis]
    else:
      labels, logits, weights = inputs.classes(
          labels, predictions, weights, num_classes
      )
      scores = _log_odds(logits)
      is_positive = tf.one_hot(labels, num_classes)
    weights = weights[:, tf.newaxis]
    has_weight = tf.cast(tf.not_equal(weights, 0), tf.float32)
    kinds = Histograms(
        positives=weights * is_positive,
        negatives=weights * (1 - is_positive),
        examples=has_weight * is_positive,
    )
    index = _bin_index(scores, num_bins)
    sums = _histograms(index, tf.stack(kinds, axis=-1), num_bins)
    return Histograms(*tf.unstack(sums, axis=1))

  return measure


def _log_odds(logits: tf.Tensor) -> tf.Tensor:
  """Returns log(p / (1 - p)) of the softmax, without cancellation."""
  top = tf.reduce_max(logits, axis=-1, keepdims=True)
  is_top = tf.one_hot(tf.argmax(logits, -1), tf.shape(logits)[-1]) > 0
  rest = tf.where(is_top, tf.constant(-math.inf, logits.dtype), logits)
  beaten = tf.reduce_logsumexp(rest, axis=-1, keepdims=True)
  terms = tf.exp(logits - top)
  others = tf.reduce_sum(terms, axis=-1, keepdims=True) - terms
  return tf.where(is_top, top - beaten, logits - top - tf.math.log(others))


def _bin_index(scores: tf.Tensor, num_bins: int) -> tf.Tensor:
  # Rounding keeps the order of scores in this form, but not in x / (4 + |x|).
  size = 1 - 4 / (4 + tf.abs(scores))
  place = (tf.sign(scores) * size + 1) * (num_bins / 2)
  return tf.clip_by_value(tf.cast(place, tf.int32), 0, num_bins - 1)


def _histograms(
    index: tf.Tensor, weights: tf.Tensor, num_bins: int
) -> tf.Tensor:
  """Sums weights ``[B, C, K]`` by index ``[B, C]`` into ``[C, K, num_bins]``.

  An index is written as two digits, each one-hot, and a histogram is their
  product: deterministic, unlike a scatter, and without a tensor ``[B, C,
  num_bins]``. In float64, since GPUs round the factors of float32 products to
  TF32.
  """
  base = 2 ** ((num_bins.bit_length() - 1) // 2)
  high = tf.one_hot(index // base, num_bins // base, dtype=tf.float64)
  low = tf.one_hot(index % base, base, dtype=tf.float64)
  weights = tf.cast(weights, tf.float64)
  weighted = weights[..., tf.newaxis] * high[:, :, tf.newaxis]  # [B, C, K, H]
  sums = tf.einsum('bckh,bcl->ckhl', weighted, low)
  shape = [index.shape[1], weights.shape[2], num_bins]
  return tf.cast(tf.reshape(sums, shape), tf.float32)
