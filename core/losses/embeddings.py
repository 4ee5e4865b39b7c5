"""Losses of embeddings, each example by itself.

Losses that compare the examples of a batch are in `in_batch`.
"""

from __future__ import annotations

import tensorflow as tf

from .. import checks
from . import arguments, numerics


def cosine_distance(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
  r"""Computes one minus the cosine of the angle between two vectors.

  .. math:: 1 - \frac{x \cdot y}{\lVert x \rVert \lVert y \rVert}

  Args:
    labels: ``[batch_size, dimensions]``, numbers.
    predictions: ``[batch_size, dimensions]``, floating point.

  Returns:
    ``[batch_size]``, in [0, 2], 1 if a vector is zero.

  Raises:
    ValueError: If the shapes differ or are not of rank 2.

  Reference:
    ``optax.losses.cosine_distance``.

  Example:
    >>> from core import losses
    >>> losses.cosine_distance([[3.0, 0.0]], [[0.0, 2.0]]).numpy().tolist()
    [1.0]
  """
  labels, predictions = arguments.pair(labels, predictions)
  checks.rank('predictions', predictions, 2)
  # In float64: the difference of two close directions loses digits.
  units = [numerics.unit(numerics.widest(x)) for x in (labels, predictions)]
  is_zero = [tf.reduce_all(tf.equal(x, 0), axis=-1) for x in units]
  values = tf.reduce_sum((units[0] - units[1]) ** 2, axis=-1) / 2
  values = numerics.where(~(is_zero[0] | is_zero[1]), values, 1.0)
  return tf.cast(values, predictions.dtype)


def euclidean_distance(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
  r"""Computes the Euclidean distance of two vectors.

  .. math:: \lVert x - y \rVert

  Args:
    labels: ``[batch_size, dimensions]``, numbers.
    predictions: ``[batch_size, dimensions]``, floating point.

  Returns:
    ``[batch_size]``, with gradient 0 where the vectors are equal.

  Raises:
    ValueError: If the shapes differ or are not of rank 2.

  Reference:
    ``scipy.spatial.distance.euclidean``.

  Example:
    >>> from core import losses
    >>> losses.euclidean_distance([[3.0, 0.0]], [[0.0, 4.0]]).numpy().tolist()
    [5.0]
  """
  errors, predictions = numerics.errors(labels, predictions)
  checks.rank('predictions', predictions, 2)
  return numerics.norm(errors)


def contrastive(
    labels: tf.Tensor, distances: tf.Tensor, *, margin: float = 1.0
) -> tf.Tensor:
  r"""Computes the contrastive loss of pairs, from their distances.

  With y = 1 for a pair of the same class, and d for its distance:

  .. math:: y d^2 + (1 - y) \max(0, m - d)^2

  (The paper halves both terms, and has y = 0 for a pair of the same class.)

  Args:
    labels: ``[batch_size]``, in [0, 1] or bool: whether both are of one class.
    distances: ``[batch_size]``, floating point numbers >= 0, such as those of
      `euclidean_distance`.
    margin: The distance beyond which other pairs have no loss, >= 0.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ or the margin is negative.

  Reference:
    Hadsell et al., `Dimensionality Reduction by Learning an Invariant Mapping
    <https://doi.org/10.1109/CVPR.2006.100>`_, 2006, equation 4.

  Example:
    >>> from core import losses
    >>> losses.contrastive([1, 0, 0], [0.5, 0.5, 2.0]).numpy().tolist()
    [0.25, 0.25, 0.0]
  """
  arguments.not_negative('margin', margin)
  labels, distances = arguments.pair(
      labels, distances, names=('labels', 'distances')
  )
  checks.rank('distances', distances, 1)
  valid = (labels >= 0) & (labels <= 1)
  arguments.require('labels', labels, valid, 'numbers in [0, 1]')
  apart = tf.nn.relu(margin - distances)
  values = numerics.times(distances**2, labels) + (1 - labels) * apart**2
  return arguments.nan_unless(valid, values)


def triplet_margin_loss(
    anchors: tf.Tensor,
    positives: tf.Tensor,
    negatives: tf.Tensor,
    *,
    margin: float = 1.0,
) -> tf.Tensor:
  r"""Computes how far a positive is from being nearer than a negative.

  .. math::
    \max(0, \lVert a - p \rVert - \lVert a - n \rVert + m)

  The triplets are given; `batch_hard_triplet` finds them in a batch.

  Args:
    anchors: ``[batch_size, dimensions]``, floating point.
    positives: ``[batch_size, dimensions]``, of the anchors' classes.
    negatives: ``[batch_size, dimensions]``, of other classes.
    margin: How much farther the negative should be, >= 0.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ or the margin is negative.

  Reference:
    Schroff et al., `FaceNet <https://arxiv.org/abs/1503.03832>`_, 2015,
    equation 3, with distances instead of squared distances.

  Example:
    >>> from core import losses
    >>> losses.triplet_margin_loss(
    ...     [[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 4.0]]).numpy().tolist()
    [2.0]
  """
  arguments.not_negative('margin', margin)
  anchors = arguments.floats('anchors', anchors)
  checks.rank('anchors', anchors, 2)
  to_positives, _ = numerics.errors(
      positives, anchors, names=('positives', 'anchors')
  )
  to_negatives, _ = numerics.errors(
      negatives, anchors, names=('negatives', 'anchors')
  )
  return tf.nn.relu(
      numerics.norm(to_positives) - numerics.norm(to_negatives) + margin
  )
