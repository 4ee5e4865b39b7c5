"""Losses that compare the examples of a batch with each other.

They take the weights of the batch: an example of weight 0 is no anchor, no
positive and no negative. Its value is 0, and no value or gradient of another
example depends on it. Pass the same weights to `mean`.

Over replicas they see the local batch: the negatives of an example are those of
its replica, so the value depends on how the global batch is divided. With
``gather=distribution.all_gather`` they see the global batch: the anchors are
the examples of this replica, the candidates those of all, with their labels and
weights. Sums and gradients over all replicas then equal those of a single
replica, however the examples are divided. Every replica must compute the loss,
even one without examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from .. import checks
from . import arguments, numerics

# From one replica's part ``[size, ...]`` to those of all, in their order.
Gather: TypeAlias = Callable[[tf.Tensor], tf.Tensor]

_NEVER = -1e30  # A logit whose softmax is 0, without the NaN of infinities.


def nt_xent(
    first: tf.Tensor,
    second: tf.Tensor,
    *,
    temperature: float = 0.5,
    weights: tf.Tensor | None = None,
    gather: Gather | None = None,
) -> tf.Tensor:
  r"""Computes the normalized temperature-scaled cross-entropy of two views.

  Each view has to find the other view of its example among all other views of
  the batch. With the unit vectors z of the 2B views, j the other view of i:

  .. math::
    -\log \frac{\exp(z_i \cdot z_j / T)}
    {\sum_{k \ne i} \exp(z_i \cdot z_k / T)}

  averaged over both views of an example.

  Args:
    first: ``[batch_size, dimensions]``, floating point: a view's embeddings.
    second: ``[batch_size, dimensions]``, floating point: the other view's.
    temperature: T > 0.
    weights: ``[batch_size]``; examples of weight 0 are left out. Default: 1.
    gather: A function such as `distribution.all_gather`. Default: compare with
      the examples of this replica only.

  Returns:
    ``[batch_size]``, 0 where the weight is 0.

  Raises:
    TypeError: If a dtype is not as above or gather is not callable.
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
  units = numerics.unit(tf.stack([first, second], axis=1))  # [B, 2, D]
  candidates = _candidates(units, kept, gather=gather)
  logits = (
      tf.matmul(
          _by_view(units), _by_view(candidates.embeddings), transpose_b=True
      )
      / temperature
  )  # [2B, 2N]
  size, num_candidates = tf.unstack(tf.shape(candidates.is_self))
  views = tf.repeat([False, True], size)
  same_view = views[:, tf.newaxis] == tf.repeat([False, True], num_candidates)
  same_example = tf.tile(candidates.is_self, [2, 2])
  others = tf.tile(candidates.is_kept, [2]) & ~(same_example & same_view)
  other_view = others & same_example
  log_p = tf.nn.log_softmax(numerics.where(others, logits, _NEVER))
  values = -tf.reduce_sum(numerics.where(other_view, log_p, 0.0), axis=1)
  values = tf.reduce_mean(tf.reshape(values, [2, size]), axis=0)
  return numerics.where(kept, values, 0.0)


def supervised_contrastive(
    labels: tf.Tensor,
    embeddings: tf.Tensor,
    *,
    temperature: float = 0.1,
    weights: tf.Tensor | None = None,
    gather: Gather | None = None,
) -> tf.Tensor:
  r"""Computes how badly an example finds the others of its class in the batch.

  With unit vectors z, and P the other examples of the class of i:

  .. math::
    -\frac{1}{|P|} \sum_{p \in P} \log \frac{\exp(z_i \cdot z_p / T)}
    {\sum_{k \ne i} \exp(z_i \cdot z_k / T)}

  Args:
    labels: ``[batch_size]``, integers; equal ones are of the same class.
    embeddings: ``[batch_size, dimensions]``, floating point.
    temperature: T > 0.
    weights: ``[batch_size]``; examples of weight 0 are left out. Default: 1.
    gather: See `nt_xent`.

  Returns:
    ``[batch_size]``, 0 for an example alone in its class or of weight 0.

  Raises:
    TypeError: If a dtype is not as above or gather is not callable.
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
  candidates = _candidates(units, kept, labels, gather)
  logits = tf.matmul(units, candidates.embeddings, transpose_b=True)  # [B, N]
  logits /= temperature
  others = candidates.is_kept & ~candidates.is_self
  positive = others & candidates.is_same_label
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
    gather: Gather | None = None,
) -> tf.Tensor:
  r"""Computes `triplet_margin_loss` for each example's hardest triplet.

  With the Euclidean distance d, P the other examples of the class of i, and N
  those of other classes:

  .. math:: \max(0, m + \max_{p \in P} d(i, p) - \min_{n \in N} d(i, n))

  Args:
    labels: ``[batch_size]``, integers; equal ones are of the same class.
    embeddings: ``[batch_size, dimensions]``, floating point.
    margin: How much farther the negative should be, >= 0.
    weights: ``[batch_size]``; examples of weight 0 are left out. Default: 1.
    gather: See `nt_xent`.

  Returns:
    ``[batch_size]``, 0 for an example without positives, negatives or weight.

  Raises:
    TypeError: If a dtype is not as above or gather is not callable.
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
  candidates = _candidates(embeddings, kept, labels, gather)
  others = candidates.is_kept & ~candidates.is_self
  positive = others & candidates.is_same_label
  negative = others & ~candidates.is_same_label
  distances = _distances(embeddings, candidates)
  farthest = tf.reduce_max(numerics.where(positive, distances, 0.0), axis=1)
  nearest = tf.reduce_min(numerics.where(negative, distances, 1e30), axis=1)
  has_both = tf.reduce_any(positive, axis=1) & tf.reduce_any(negative, axis=1)
  values = tf.nn.relu(margin + farthest - nearest)
  values = numerics.where(kept & has_both, values, 0.0)
  # XLA's maximum ignores NaN.
  is_number = ~tf.reduce_any(tf.math.is_nan(embeddings), axis=-1)
  return arguments.nan_unless(is_number, values)


class _Candidates(NamedTuple):
  """The embeddings that anchors are compared with.

  Attributes:
    embeddings: ``[N, ...]``, floating point.
    is_kept: ``[N]``: whether a candidate has a nonzero weight.
    is_self: ``[B, N]``: whether a candidate is the anchor itself.
    is_same_label: ``[B, N]``: whether a candidate has the anchor's label.
  """

  embeddings: tf.Tensor
  is_kept: tf.Tensor
  is_self: tf.Tensor
  is_same_label: tf.Tensor


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
  """Zeroes embeddings of weight 0, since 0 times a NaN would be NaN."""
  return numerics.where(kept[:, tf.newaxis], embeddings, 0.0)


def _candidates(
    embeddings: tf.Tensor,
    kept: tf.Tensor,
    labels: tf.Tensor | None = None,
    gather: Gather | None = None,
) -> _Candidates:
  """Returns the embeddings that the anchors ``[B, ...]`` are compared with.

  A candidate is identified by its replica and its row there, so that examples
  with equal embeddings stay distinct.
  """
  rows = tf.range(tf.shape(kept, tf.int64)[0])
  context = tf.distribute.get_replica_context()
  replica = context.replica_id_in_sync_group if context else 0
  replica = tf.cast(replica, tf.int64)
  own = tf.stack(
      [
          tf.fill(tf.shape(rows), replica),
          rows,
          tf.cast(kept, tf.int64),
          tf.zeros_like(rows) if labels is None else tf.cast(labels, tf.int64),
      ],
      axis=1,
  )  # [B, 4]
  everyone = own
  if gather is not None:
    if not callable(gather):
      raise TypeError(
          'gather: expected a function such as distribution.all_gather, got '
          f'{gather!r}.'
      )
    everyone = checks.shape('gather', gather(own), [None, *own.shape[1:]])
    embeddings = checks.shape(
        'gather',
        gather(embeddings),
        [checks.sizes_of(everyone)[0], *embeddings.shape[1:]],
    )
  replicas, candidate_rows, is_kept, candidate_labels = tf.unstack(
      everyone, axis=1
  )
  return _Candidates(
      embeddings,
      tf.cast(is_kept, tf.bool),
      (rows[:, tf.newaxis] == candidate_rows) & (replica == replicas),
      own[:, 3:] == candidate_labels,
  )


def _by_view(views: tf.Tensor) -> tf.Tensor:
  """Reshapes ``[size, 2, dimensions]`` to ``[2 * size, dimensions]``."""
  return tf.concat(tf.unstack(views, axis=1), axis=0)


def _distances(anchors: tf.Tensor, candidates: _Candidates) -> tf.Tensor:
  """Computes ``[B, N]`` distances to the candidates.

  |x|^2 + |y|^2 - 2 x y cancels where distances are small, so it is computed in
  float64 and around the candidates' mean, which changes no distance.
  """
  x, y = numerics.widest(anchors), numerics.widest(candidates.embeddings)
  count = tf.reduce_sum(tf.cast(candidates.is_kept, y.dtype))
  mean = tf.math.divide_no_nan(tf.reduce_sum(y, axis=0), count)
  x, y = x - tf.stop_gradient(mean), y - tf.stop_gradient(mean)
  products = tf.matmul(x, y, transpose_b=True)
  squares = [tf.reduce_sum(vectors**2, axis=-1) for vectors in (x, y)]
  squared = squares[0][:, tf.newaxis] + squares[1] - 2 * products
  return tf.cast(numerics.sqrt(tf.nn.relu(squared)), anchors.dtype)
