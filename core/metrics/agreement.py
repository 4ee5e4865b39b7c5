"""Single numbers for how far labels and predictions agree.

All come from the summed confusion matrix, which a collection measures once.
"""

from __future__ import annotations

import math

import tensorflow as tf

from .. import checks
from . import confusion, metric, precision_recall, rates

KAPPA_WEIGHTINGS = ('linear', 'quadratic')


def balanced_accuracy(num_classes: int) -> metric.Metric:
  """Returns the mean recall of the classes that have examples.

  Args:
    num_classes: The number of classes, at least 2.

  Returns:
    A metric of class labels and logits. Its value is a scalar.

  Raises:
    ValueError: If num_classes is less than 2.

  Reference:
    Brodersen et al., The balanced accuracy and its posterior distribution,
    2010; scikit-learn's ``balanced_accuracy_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.balanced_accuracy(num_classes=2)
    >>> float(compute(measure([0, 0, 1], [[2., 1.], [1., 2.], [1., 2.]])))
    0.75
  """

  def compute(matrix: tf.Tensor) -> tf.Tensor:
    values = rates.recall(confusion.counts(matrix), math.nan)
    return _mean_of_defined(values, matrix)

  return metric.Metric(confusion.measure_matrix(num_classes), compute)


def mean_iou(
    num_classes: int, zero_division: float = math.nan
) -> metric.Metric:
  """Returns the mean over classes of intersection over union.

  The ratio of a class is TP / (TP + FP + FN), also called the Jaccard index. In
  segmentation each pixel counts: labels are ``[batch_size, height, width]``,
  and void pixels have weight 0.

  Args:
    num_classes: The number of classes, at least 2.
    zero_division: The ratio of a class that has neither examples nor
      predictions, in [0, 1], or NaN to leave it out of the mean.

  Returns:
    A metric of class labels and logits. Its value is a scalar, 0 if the weights
    are all 0 and every class is left out.

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    Everingham et al., The Pascal visual object classes challenge, 2010; Keras's
    ``MeanIoU``; with zero_division=0, scikit-learn's macro-averaged
    ``jaccard_score`` of all classes.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.mean_iou(num_classes=2)
    >>> float(compute(measure([0, 0, 1], [[2., 1.], [1., 2.], [1., 2.]])))
    0.5
  """
  precision_recall.check_zero_division(zero_division)

  def compute(matrix: tf.Tensor) -> tf.Tensor:
    counts = confusion.counts(matrix)
    values = rates.intersection_over_union(counts, zero_division)
    return _mean_of_defined(values, matrix)

  return metric.Metric(confusion.measure_matrix(num_classes), compute)


def matthews_corrcoef(num_classes: int) -> metric.Metric:
  r"""Returns the correlation of labels and predictions, R_K for many classes.

  With t and p the row and column sums of the confusion matrix, c the sum of its
  diagonal and s that of all:

  .. math:: \frac{c s - \sum_k t_k p_k}
            {\sqrt{s^2 - \sum_k t_k^2} \sqrt{s^2 - \sum_k p_k^2}}

  Args:
    num_classes: The number of classes, at least 2.

  Returns:
    A metric of class labels and logits. Its value is a scalar, in [-1, 1], 0
    where all labels or all predictions are of one class.

  Raises:
    ValueError: If num_classes is less than 2.

  Reference:
    Gorodkin, Comparing two K-category assignments by a K-category correlation
    coefficient, 2004, equation 8; scikit-learn's ``matthews_corrcoef``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.matthews_corrcoef(num_classes=2)
    >>> float(compute(measure([0, 0, 1], [[2., 1.], [1., 2.], [1., 2.]])))
    0.5
  """

  def compute(matrix: tf.Tensor) -> tf.Tensor:
    shares, labelled, predicted, dtype = _shares(matrix)
    expected = labelled[:, tf.newaxis] * predicted
    agreement = tf.linalg.trace(shares) - tf.linalg.trace(expected)
    spread = _spread(labelled) * _spread(predicted)
    return tf.cast(metric.divide(agreement, tf.sqrt(spread)), dtype)

  return metric.Metric(confusion.measure_matrix(num_classes), compute)


def cohen_kappa(
    num_classes: int,
    weighting: str | None = None,
    zero_division: float = 0.0,
) -> metric.Metric:
  r"""Returns the agreement beyond that of independent labels and predictions.

  With M the confusion matrix, E its expectation from the sums of its rows and
  columns, and d the cost of a disagreement, 0 on the diagonal:

  .. math:: \kappa = 1 - \frac{\sum_{ij} d_{ij} M_{ij}}
                              {\sum_{ij} d_{ij} E_{ij}}

  Args:
    num_classes: The number of classes, at least 2.
    weighting: The cost of taking class i for j: 1 if None, \|i - j\| if
      'linear', (i - j)^2 if 'quadratic', for ordered classes.
    zero_division: The value if all labels and predictions are of one class, in
      [0, 1] or NaN (scikit-learn's).

  Returns:
    A metric of class labels and logits. Its value is a scalar, in [-1, 1].

  Raises:
    ValueError: If an argument is out of range.

  Reference:
    Cohen, Weighted kappa, 1968; scikit-learn's ``cohen_kappa_score``.

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.cohen_kappa(num_classes=2)
    >>> round(float(compute(measure([0, 0, 1], [[2, 1], [1, 2], [1, 2]]))), 4)
    0.4
  """
  if weighting is not None:
    checks.one_of('weighting', weighting, KAPPA_WEIGHTINGS)
  precision_recall.check_zero_division(zero_division)

  def compute(matrix: tf.Tensor) -> tf.Tensor:
    shares, labelled, predicted, dtype = _shares(matrix)
    expected = labelled[:, tf.newaxis] * predicted
    cost = _costs(num_classes, weighting)
    observed, by_chance = (
        tf.reduce_sum(cost * table) for table in (shares, expected)
    )
    kappa = metric.divide(by_chance - observed, by_chance, zero_division)
    return tf.cast(kappa, dtype)

  return metric.Metric(confusion.measure_matrix(num_classes), compute)


def _mean_of_defined(values: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
  """Returns the mean of values that are not NaN, 0 if nothing was counted."""
  mean = rates.average(values, tf.ones_like(values))
  is_empty = tf.equal(tf.reduce_sum(matrix), 0)
  return tf.where(is_empty, tf.zeros_like(mean), mean)


def _shares(matrix: tf.Tensor) -> tf.Tensor:
  """Returns the matrix over its sum, row sums, column sums, and its dtype.

  In float64, since differences of products of float32 counts lose digits.
  """
  matrix = tf.convert_to_tensor(matrix)
  table = tf.cast(matrix, tf.float64)
  shares = metric.divide(table, tf.reduce_sum(table))
  labelled = tf.reduce_sum(shares, axis=1)
  predicted = tf.reduce_sum(shares, axis=0)
  return shares, labelled, predicted, matrix.dtype


def _spread(shares: tf.Tensor) -> tf.Tensor:
  """Returns 1 - sum(shares^2), but exactly 0 for a single class."""
  pairs = shares[:, tf.newaxis] * shares
  return tf.reduce_sum(tf.linalg.set_diag(pairs, tf.zeros_like(shares)))


def _costs(num_classes: int, weighting: str | None) -> tf.Tensor:
  classes = tf.range(num_classes, dtype=tf.float64)
  distance = tf.abs(classes[:, tf.newaxis] - classes)
  if weighting == 'linear':
    return distance
  if weighting == 'quadratic':
    return distance**2
  return tf.cast(distance > 0, tf.float64)
