"""Losses that compare the examples of a batch with each other.

They take the weights of the batch: an example of weight 0 is no anchor, no
positive and no negative, its value is 0, and no value or gradient of another
example depends on it, whatever it holds. `mean` then takes the same weights.

Over replicas they see the local batch only: the negatives of an example are
those of its replica, so the value depends on how the global batch is divided.
For the same value on any number of replicas, gather the embeddings first.
"""

from __future__ import annotations

import tensorflow as tf

from .. import checks
from . import arguments, numerics

_NEVER = -1e30  # A logit whose softmax is 0, without the NaN of infinities.


def nt_xent(
    first: tf.Tensor,
    second: tf.Tensor,
    *,
    temperature: float = 0.5,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
  r"""Computes the normalised temperature-scaled cross-entropy of two views.

  Each view has to find the other view of its example among all other views of
  the batch. With the unit vectors z of the 2B views, j the other view of i:

  .. math::
    -\log \frac{\exp(z_i \cdot z_j / T)}
    {\sum_{k \ne i} \exp(z_i \cdot z_k / T)}

  averaged over both views of an example. Over replicas: the local batch.

  Args:
    first: ``[batch_size, dimensions]``, floating point: a view's embeddings.
    second: ``[batch_size, dimensions]``, floating point: the other view's.
    temperature: T > 0.
    weights: ``[batch_size]``; examples of weight 0 are left out. None keeps
      all.

  Returns:
    ``[batch_size]``, 0 where the weight is 0; float32 also for bfloat16.

  Raises:
    TypeError: If the embeddings are not floating point numbers.
    ValueError: If shapes do not fit or the temperature is not positive.

  Reference:
    Chen et al., `A Simple Framework for Contrastive Learning of Visual
    Representations <https://arxiv.org/abs/2002.05709>`_, 2020, equation 1.

  Example:
    >>> from core import losses
    >>> values = losses.nt_xent(
    ...     [[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 3.0]], temperature=1.0)
    >>> [round(float(value), 4) for value in values]
    [0.5514, 0.5514]
  """
  arguments.positive('temperature', temperature)
  first, second = arguments.pair(
      arguments.floats('first', first), second, names=('first', 'second')
  )
  checks.rank('second', second, 2)
  kept = _kept(weights, first)
  first, second = _cleared(first, kept), _cleared(second, kept)
  units = numerics.unit(tf.concat([first, second], axis=0))
  logits = tf.matmul(units, units, transpose_b=True) / temperature  # [2B, 2B]
  others = _others(tf.concat([kept, kept], axis=0))
  size = tf.shape(first)[0]
  other_view = tf.roll(tf.eye(2 * size, dtype=tf.bool), size, axis=0)
  log_p = tf.nn.log_softmax(numerics.where(others, logits, _NEVER))
  values = -tf.reduce_sum(
      numerics.where(other_view & others, log_p, 0.0), axis=1
  )
  values = tf.reduce_mean(tf.reshape(values, [2, size]), axis=0)
  return numerics.where(kept, values, 0.0)


def supervised_contrastive(
    labels: tf.Tensor,
    embeddings: tf.Tensor,
    *,
    temperature: float = 0.1,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
  r"""Computes how badly an example finds those of its class in the batch.

  With unit vectors z, and P the other examples of the class of i:

  .. math::
    -\frac{1}{|P|} \sum_{p \in P} \log \frac{\exp(z_i \cdot z_p / T)}
    {\sum_{k \ne i} \exp(z_i \cdot z_k / T)}

  Over replicas: the local batch.

  Args:
    labels: ``[batch_size]``, integers of any range: equal means of a class.
    embeddings: ``[batch_size, dimensions]``, floating point.
    temperature: T > 0.
    weights: ``[batch_size]``; examples of weight 0 are left out. None keeps
      all.

  Returns:
    ``[batch_size]``, 0 for an example alone of its class or of weight 0;
    float32 also for bfloat16 embeddings.

  Raises:
    TypeError: If the labels are not integers or the embeddings not floating
      point numbers.
    ValueError: If shapes do not fit or the temperature is not positive.

  Reference:
    Khosla et al., `Supervised Contrastive Learning
    <https://arxiv.org/abs/2004.11362>`_, 2020, equation 2.

  Example:
    >>> from core import losses
    >>> values = losses.supervised_contrastive(
    ...     [7, 7, 3], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], temperature=1.0)
    >>> [round(float(value), 4) for value in values]
    [0.3133, 0.3133, 0.0]
  """
  arguments.positive('temperature', temperature)
  labels, embeddings, kept = _batch(labels, embeddings, weights)
  units = numerics.unit(embeddings)
  logits = tf.matmul(units, units, transpose_b=True) / temperature  # [B, B]
  others = _others(kept)
  positive = _same(labels) & others
  log_p = tf.nn.log_softmax(numerics.where(others, logits, _NEVER))
  values = tf.math.divide_no_nan(
      tf.reduce_sum(numerics.where(positive, -log_p, 0.0), axis=1),
      tf.reduce_sum(tf.cast(positive, log_p.dtype), axis=1),
  )
  return numerics.where(kept, values, 0.0)


def batch_hard_triplet(
    labels: tf.Tensor,
    embeddings: tf.Tensor,
    *,
    margin: float = 1.0,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
  r"""Computes `triplet_margin` of each example's hardest triplet.

  With the Euclidean distance d, P the other examples of the class of i, and N
  those of other classes:

  .. math:: \max(0, m + \max_{p \in P} d(i, p) - \min_{n \in N} d(i, n))

  Over replicas: the local batch.

  Args:
    labels: ``[batch_size]``, integers of any range: equal means of a class.
    embeddings: ``[batch_size, dimensions]``, floating point.
    margin: How much farther the negative shall be, >= 0.
    weights: ``[batch_size]``; examples of weight 0 are left out. None keeps
      all.

  Returns:
    ``[batch_size]``, 0 for an example with no positive or no negative or of
    weight 0; float32 also for bfloat16 embeddings.

  Raises:
    TypeError: If the labels are not integers or the embeddings not floating
      point numbers.
    ValueError: If shapes do not fit or the margin is negative.

  Reference:
    Hermans et al., `In Defense of the Triplet Loss for Person
    Re-Identification <https://arxiv.org/abs/1703.07737>`_, 2017, equation 5.

  Example:
    >>> from core import losses
    >>> losses.batch_hard_triplet(
    ...     [7, 7, 3], [[0.0], [2.0], [5.0]]).numpy().tolist()
    [0.0, 0.0, 0.0]
  """
  arguments.not_negative('margin', margin)
  labels, embeddings, kept = _batch(labels, embeddings, weights)
  others, same = _others(kept), _same(labels)
  positive, negative = others & same, others & ~same
  distances = _distances(embeddings, kept)
  farthest = tf.reduce_max(numerics.where(positive, distances, 0.0), axis=1)
  nearest = tf.reduce_min(numerics.where(negative, distances, 1e30), axis=1)
  has_both = tf.reduce_any(positive, axis=1) & tf.reduce_any(negative, axis=1)
  values = tf.nn.relu(margin + farthest - nearest)
  values = numerics.where(kept & has_both, values, 0.0)
  # XLA's maximum leaves NaN out.
  is_number = ~tf.reduce_any(tf.math.is_nan(embeddings), axis=-1)
  return arguments.nan_unless(is_number, values)


def _batch(
    labels: tf.Tensor, embeddings: tf.Tensor, weights: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  embeddings = arguments.floats('embeddings', embeddings)
  checks.rank('embeddings', embeddings, 2)
  labels = tf.convert_to_tensor(labels)
  checks.integers('labels', labels)
  labels = checks.shape('labels', labels, checks.sizes_of(embeddings)[:1])
  kept = _kept(weights, embeddings)
  return labels, _cleared(embeddings, kept), kept


def _kept(weights: tf.Tensor | None, embeddings: tf.Tensor) -> tf.Tensor:
  if weights is None:
    return tf.ones(tf.shape(embeddings)[:1], tf.bool)
  weights = tf.convert_to_tensor(weights)
  weights = checks.shape('weights', weights, checks.sizes_of(embeddings)[:1])
  return tf.cast(weights, tf.bool)


def _cleared(embeddings: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
  """Puts zeros for what is left out: 0 times its NaN would be NaN."""
  return numerics.where(kept[:, tf.newaxis], embeddings, 0.0)


def _others(kept: tf.Tensor) -> tf.Tensor:
  """Returns ``[B, B]``: whether a row is compared with a column."""
  return kept & ~tf.eye(tf.shape(kept)[0], dtype=tf.bool)


def _same(labels: tf.Tensor) -> tf.Tensor:
  return labels[:, tf.newaxis] == labels[tf.newaxis, :]


def _distances(embeddings: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
  """Computes ``[B, B]`` distances of the examples that are kept.

  |x|^2 + |y|^2 - 2 x y cancels where distances are small: it is computed in
  float64, around the embeddings' mean, which changes no distance.
  """
  x = numerics.widest(embeddings)
  count = tf.reduce_sum(tf.cast(kept, x.dtype))
  x -= tf.stop_gradient(tf.math.divide_no_nan(tf.reduce_sum(x, axis=0), count))
  products = tf.matmul(x, x, transpose_b=True)
  squares = tf.reduce_sum(x**2, axis=-1)
  squared = squares[:, tf.newaxis] + squares[tf.newaxis, :] - 2 * products
  return tf.cast(numerics.sqrt(tf.nn.relu(squared)), embeddings.dtype)
