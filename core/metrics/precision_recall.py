"""Precision, recall and related ratios, per class or averaged over classes.

All are computed from the summed confusion matrix, which a collection measures
once. The average over classes is one of

- ``'macro'``: the mean over classes;
- ``'weighted'``: the mean over classes, weighted by their numbers of labels;
- ``'micro'``: the ratio of the counts summed over classes;
- None: no average, one value per class.

The argument ``zero_division`` is the value of a ratio without denominator (a
class that was never predicted has no precision), as in scikit-learn called with
labels=range(num_classes). NaN leaves such a class out of macro and weighted
averages.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable

import tensorflow as tf

from .. import checks
from . import confusion, metric, rates

AVERAGES = ('macro', 'micro', 'weighted')


def precision(
    num_classes: int,
    average: str | None = 'macro',
    zero_division: float = 0.0,
) -> metric.Metric:
  """Returns the share of a class's predictions that are right, TP / (TP + FP).

  Args:
    num_classes: The number of classes, at least 2.
    average: 'macro', 'micro', 'weighted' or None for one value per class.
    zero_division: The value without predictions, in [0, 1] or NaN.

  Returns:
    A metric of class labels and logits. Its value is a scalar, or
    ``[num_classes]`` without average.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``precision_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.precision(num_classes=2, average=None)
    >>> compute(measure([0, 1], [[2., 1.], [3., 1.]])).numpy().tolist()
    [0.5, 0.0]
  """
  return _averaged(rates.precision, num_classes, average, zero_division)


def recall(
    num_classes: int,
    average: str | None = 'macro',
    zero_division: float = 0.0,
) -> metric.Metric:
  """Returns the share of a class's examples that are found, TP / (TP + FN).

  Args:
    num_classes: The number of classes, at least 2.
    average: 'macro', 'micro', 'weighted' or None for one value per class.
    zero_division: The value of a class without examples, in [0, 1] or NaN.

  Returns:
    A metric of class labels and logits. Its value is a scalar, or
    ``[num_classes]`` without average.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``recall_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.recall(num_classes=2)
    >>> float(compute(measure([0, 1], [[2., 1.], [3., 1.]])))
    0.5
  """
  return _averaged(rates.recall, num_classes, average, zero_division)


def specificity(
    num_classes: int,
    average: str | None = 'macro',
    zero_division: float = 0.0,
) -> metric.Metric:
  """Returns the share of other classes' examples not predicted as a class.

  The ratio is TN / (TN + FP).

  Args:
    num_classes: The number of classes, at least 2.
    average: 'macro', 'micro', 'weighted' or None for one value per class.
    zero_division: The value if all examples are of one class, in [0, 1] or NaN.

  Returns:
    A metric of class labels and logits. Its value is a scalar, or
    ``[num_classes]`` without average.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    The specificity of torchmetrics; scikit-learn's ``recall_score`` with labels
    and predictions inverted, class by class.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.specificity(num_classes=2, average=None)
    >>> compute(measure([0, 1], [[2., 1.], [3., 1.]])).numpy().tolist()
    [0.0, 1.0]
  """
  return _averaged(rates.specificity, num_classes, average, zero_division)


def fbeta_score(
    num_classes: int,
    beta: float,
    average: str | None = 'macro',
    zero_division: float = 0.0,
) -> metric.Metric:
  r"""Returns the weighted harmonic mean of precision and recall.

  .. math:: F_\beta = \frac{(1 + \beta^2)\,TP}
                           {(1 + \beta^2)\,TP + \beta^2\,FN + FP}

  Args:
    num_classes: The number of classes, at least 2.
    beta: The weight of recall relative to precision; not negative.
    average: 'macro', 'micro', 'weighted' or None for one value per class.
    zero_division: The value of a class with neither examples nor predictions,
      in [0, 1] or NaN.

  Returns:
    A metric of class labels and logits. Its value is a scalar, or
    ``[num_classes]`` without average.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    Van Rijsbergen, Information Retrieval, 1979; scikit-learn's ``fbeta_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.fbeta_score(2, beta=2., average=None)
    >>> values = compute(measure([0, 1], [[2., 1.], [3., 1.]]))
    >>> [round(float(value), 4) for value in values]
    [0.8333, 0.0]
  """
  checks.in_range('beta', beta, 0.0, math.sqrt(sys.float_info.max))
  formula = functools.partial(rates.f_beta, beta=beta)
  return _averaged(formula, num_classes, average, zero_division)


def f1_score(
    num_classes: int,
    average: str | None = 'macro',
    zero_division: float = 0.0,
) -> metric.Metric:
  """Returns the harmonic mean of precision and recall.

  Args:
    num_classes: The number of classes, at least 2.
    average: 'macro', 'micro', 'weighted' or None for one value per class.
    zero_division: The value of a class with neither examples nor predictions,
      in [0, 1] or NaN.

  Returns:
    A metric of class labels and logits. Its value is a scalar, or
    ``[num_classes]`` without average.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    scikit-learn's ``f1_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.f1_score(num_classes=2)
    >>> round(float(compute(measure([0, 1], [[2., 1.], [3., 1.]]))), 4)
    0.3333
  """
  return fbeta_score(num_classes, 1.0, average, zero_division)


def check_zero_division(zero_division: float) -> None:
  """Raises ValueError for a number that is neither in [0, 1] nor NaN."""
  checks.number('zero_division', zero_division)
  if not math.isnan(zero_division):
    checks.in_range('zero_division', zero_division, 0.0, 1.0)


def _averaged(
    formula: Callable[[rates.Counts, float], tf.Tensor],
    num_classes: int,
    average: str | None,
    zero_division: float,
) -> metric.Metric:
  if average is not None:
    checks.one_of('average', average, AVERAGES)
  check_zero_division(zero_division)

  def compute(matrix: tf.Tensor) -> tf.Tensor:
    counts = confusion.counts(matrix)
    if average == 'micro':
      counts = rates.Counts(*(tf.reduce_sum(count) for count in counts))
    values = formula(counts, zero_division)
    if average == 'macro':
      return rates.average(values, tf.ones_like(values))
    if average == 'weighted':
      support = counts.true_positives + counts.false_negatives
      return rates.average(values, support)
    return values

  return metric.Metric(confusion.measure_matrix(num_classes), compute)
