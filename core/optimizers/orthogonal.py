"""Muon: orthogonal steps for matrices and filters, Adam for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from .. import checks
from . import (
    adaptive_moments,
    decay,
    moments,
    nests,
    partitioning,
    transformation,
)

NEWTON_SCHULZ_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class MuonState(NamedTuple):
  """The number of updates and the mean of gradients."""

  count: tf.Tensor
  mu: nests.Nest


def _fans(path: str, tensor: tf.Tensor) -> tuple[int, int]:
  """Returns the numbers of inputs and outputs of a tensor as a matrix."""
  if tensor.shape.rank < 2:
    raise ValueError(
        f'muon_mask: matches {path!r} of shape {tensor.shape}; expected '
        'matrices or filters only.'
    )
  return math.prod(tensor.shape[:-1]), tensor.shape[-1]


def _check_coefficients(ns_coeffs: Sequence[float]) -> None:
  if len(ns_coeffs) != 3:
    raise ValueError(
        f'ns_coeffs: expected three numbers, got {tuple(ns_coeffs)}.'
    )
  for coefficient in ns_coeffs:
    checks.number('ns_coeffs', coefficient)


def orthogonalize(
    matrix: tf.Tensor,
    ns_coeffs: tuple[float, float, float] = NEWTON_SCHULZ_COEFFICIENTS,
    ns_steps: int = 5,
    eps: float = 1e-8,
) -> tf.Tensor:
  r"""Brings the singular values of a matrix near 1, by Newton-Schulz steps.

  .. math::
    X_0 = G / (\|G\|_F + \epsilon), \qquad
    X_{k+1} = a X_k + (b A + c A^2) X_k, \quad A = X_k X_k^T

  Args:
    matrix: ``[num_rows, num_columns]``, floating.
    ns_coeffs: :math:`a, b, c`. The default coefficients bring singular values
      to about [0.7, 1.2] in five steps.
    ns_steps: The number of steps, at least 1.
    eps: Keeps the divisor from 0.

  Returns:
    ``[num_rows, num_columns]``, of the same dtype.

  Raises:
    ValueError: If `matrix` is not a matrix, there are not three coefficients,
      or `ns_steps` is not positive.

  Reference:
    `Muon <https://kellerjordan.github.io/posts/muon/>`_;
    ``optax.contrib.muon``.

  Example:
    >>> from core import optimizers
    >>> turned = optimizers.orthogonalize(tf.constant([[0.0, 9.0], [3.0, 0.0]]))
    >>> bool(tf.reduce_all(tf.abs(turned - [[0.0, 1.0], [1.0, 0.0]]) < 0.3))
    True
  """
  checks.rank('matrix', matrix, 2)
  checks.number('eps', eps)
  ns_steps = checks.static('ns_steps', ns_steps)
  checks.in_range('ns_steps', ns_steps, 1, math.inf)
  _check_coefficients(ns_coeffs)
  return _orthogonalize(matrix, ns_coeffs, ns_steps, eps, matrix.dtype)


def _orthogonalize(
    matrix: tf.Tensor,
    ns_coeffs: Sequence[float],
    ns_steps: int,
    eps: float,
    dtype: tf.DType | str,
) -> tf.Tensor:
  """Computes `orthogonalize` in a given dtype."""
  a, b, c = (nests.scalar(number, dtype) for number in ns_coeffs)
  is_tall = matrix.shape[0] > matrix.shape[1]
  # Products of the shorter side are smaller.
  x = tf.transpose(matrix) if is_tall else matrix
  # In float32: a sum of squares soon exceeds 65504, the maximum of float16.
  x = nests.widen(x)
  x = tf.cast(x / (tf.norm(x) + nests.scalar(eps, x.dtype)), dtype)
  for _ in range(ns_steps):
    gram = tf.matmul(x, x, transpose_b=True)
    x = a * x + tf.matmul(b * gram + tf.matmul(c * gram, gram), x)
  return tf.transpose(x) if is_tall else x


def scale_by_muon(
    ns_coeffs: tuple[float, float, float] = NEWTON_SCHULZ_COEFFICIENTS,
    ns_steps: int = 5,
    beta: float = 0.95,
    eps: float = 1e-8,
    mu_dtype: tf.DType | None = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    consistent_rms: float | None = None,
    ns_dtype: tf.DType | str | None = None,
) -> transformation.GradientTransformation:
  r"""Orthogonalizes the mean of gradients and scales it by its shape.

  Every parameter is a matrix from inputs to outputs: all axes of a filter but
  the last are inputs. The orthogonal matrix is multiplied by
  :math:`\sqrt{\max(1, outputs / inputs)}`.

  Args:
    ns_coeffs: See `orthogonalize`.
    ns_steps: See `orthogonalize`.
    beta: The decay of the mean, in [0, 1).
    eps: See `orthogonalize`.
    mu_dtype: The dtype of the stored mean. Default: that of the parameters.
    nesterov: Whether to use Nesterov momentum.
    adaptive: Whether to multiply by the inner product of the mean and its
      orthogonal matrix, the dual norm.
    consistent_rms: If given, the factor is this times :math:`\sqrt{\max(inputs,
      outputs)}` instead; with 0.2 the steps are about as large as Adam's.
    ns_dtype: The dtype of `orthogonalize`. Default: that of the mean.

  Returns:
    A transformation; its state holds a count and one tensor per parameter.

  Raises:
    ValueError: If a number is out of range; from `update`, if a parameter is a
      vector or a scalar.

  Reference:
    `Muon <https://kellerjordan.github.io/posts/muon/>`_;
    `Muon is scalable <https://arxiv.org/abs/2502.16982>`_, equation 4, for
    `consistent_rms`; ``optax.contrib.scale_by_muon``.

  Example:
    >>> from core import optimizers
    >>> transform = optimizers.scale_by_muon()
    >>> w = {'w': tf.constant([[9.0, 0.0], [0.0, 9.0]])}
    >>> updates, _ = transform.update(w, transform.init(w), w)
    >>> 0.7 < float(updates['w'][0, 0]) < 1.3
    True
  """
  beta = moments.rate('beta', beta)
  _check_coefficients(ns_coeffs)
  ns_steps = checks.static('ns_steps', ns_steps)
  checks.in_range('ns_steps', ns_steps, 1, math.inf)
  checks.in_range('eps', eps, 0, math.inf)
  if consistent_rms is not None:
    checks.number('consistent_rms', consistent_rms)
    consistent_rms = moments.exact(consistent_rms)

  def init(parameters: nests.Nest) -> MuonState:
    for path, tensor in zip(
        nests.paths(parameters), tf.nest.flatten(parameters), strict=True
    ):
      _fans(path, tensor)
    return MuonState(
        transformation.zero_count(), nests.zeros_like(parameters, mu_dtype)
    )

  def turn(path: str, mean: tf.Tensor) -> tf.Tensor:
    fan_in, fan_out = _fans(path, mean)
    matrix = tf.reshape(mean, [fan_in, fan_out])
    dtype = ns_dtype or matrix.dtype
    update = _orthogonalize(matrix, ns_coeffs, ns_steps, eps, dtype)
    update = tf.cast(update, matrix.dtype)
    if adaptive:
      update *= tf.reduce_sum(matrix * update)
    if consistent_rms is None:
      update *= math.sqrt(max(1, fan_out / fan_in))
    else:
      size = math.sqrt(max(fan_in, fan_out)) * consistent_rms
      update = nests.times(size, update)
    return tf.reshape(update, mean.shape)

  def update(
      gradients: nests.Nest, state: MuonState, parameters: nests.Nest
  ) -> tuple[nests.Nest, MuonState]:
    count = state.count + 1
    mu = moments.update_moment(gradients, state.mu, beta, 1)
    means = moments.corrected_mean(mu, gradients, beta, count, nesterov)
    leaves = map(turn, nests.paths(means), tf.nest.flatten(means))
    return (
        tf.nest.pack_sequence_as(means, list(leaves)),
        MuonState(count, nests.cast_like(mu, state.mu)),
    )

  return transformation.create(init, update)


def _times(
    factor: float, learning_rate: transformation.ScalarOrSchedule
) -> transformation.ScalarOrSchedule:
  checks.in_range('adam_factor', factor, 0, math.inf)
  factor = moments.exact(factor)
  if not callable(learning_rate):
    checks.number('adam_learning_rate', learning_rate)
    return factor * moments.exact(learning_rate)
  schedule = learning_rate
  return lambda step: nests.times(factor, tf.convert_to_tensor(schedule(step)))


def muon(
    learning_rate: transformation.ScalarOrSchedule,
    ns_coeffs: tuple[float, float, float] = NEWTON_SCHULZ_COEFFICIENTS,
    ns_steps: int = 5,
    beta: float = 0.95,
    eps: float = 1e-8,
    weight_decay: transformation.ScalarOrSchedule = 0.0,
    weight_decay_mask: partitioning.Mask | None = None,
    mu_dtype: tf.DType | None = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    adam_b1: float = 0.9,
    adam_b2: float = 0.999,
    adam_eps_root: float = 0.0,
    adam_weight_decay: transformation.ScalarOrSchedule = 0.0,
    adam_learning_rate: transformation.ScalarOrSchedule | None = None,
    adam_factor: float = 1.0,
    muon_mask: partitioning.Mask | None = None,
    consistent_rms: float | None = None,
    ns_dtype: tf.DType | str | None = None,
) -> transformation.GradientTransformation:
  """Muon for matrices and filters, AdamW for the rest.

  Args:
    learning_rate: A non-negative number, or a schedule.
    ns_coeffs: See `orthogonalize`.
    ns_steps: See `orthogonalize`.
    beta: The decay of Muon's mean, in [0, 1).
    eps: Keeps the divisors of both from 0.
    weight_decay: The factor of Muon's parameters, or a schedule of it.
    weight_decay_mask: Which of them decay, see `add_decayed_weights`.
    mu_dtype: The dtype of the stored means of both.
    nesterov: Whether both use Nesterov momentum.
    adaptive: See `scale_by_muon`.
    adam_b1: The decay of Adam's mean, in [0, 1).
    adam_b2: The decay of Adam's mean square, in [0, 1).
    adam_eps_root: Added inside Adam's root.
    adam_weight_decay: The factor of Adam's parameters, or a schedule of it.
    adam_learning_rate: Adam's learning rate. Default: `learning_rate`.
    adam_factor: A factor of Adam's learning rate: without `consistent_rms`,
      Muon's rate must be much larger.
    muon_mask: Which parameters Muon trains. Default: those of rank 2 and 4,
      matrices and HWIO filters. Embeddings and the last layer often use Adam.
    consistent_rms: See `scale_by_muon`.
    ns_dtype: See `scale_by_muon`.

  Returns:
    A transformation; its state holds one tensor per parameter of Muon's and two
    per parameter of Adam's.

  Raises:
    ValueError: If a number is out of range or a mask is invalid; from `init`,
      if `muon_mask` matches a vector or a scalar.

  Reference:
    `Muon <https://kellerjordan.github.io/posts/muon/>`_;
    ``optax.contrib.muon``, which leaves filters to Adam by default.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.muon(learning_rate=0.5)
    >>> w = {'w': tf.constant([[9.0, 0.0], [0.0, 9.0]]), 'b': tf.constant(4.0)}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> -0.65 < float(updates['w'][0, 0]) < -0.35
    True
  """
  checks.rate('adam_b1', adam_b1)
  checks.rate('adam_b2', adam_b2)
  checks.in_range('adam_eps_root', adam_eps_root, 0, math.inf)
  if muon_mask is None:
    muon_mask = lambda path, tensor: tensor.shape.rank in (2, 4)
  orthogonal = transformation.chain(
      scale_by_muon(
          ns_coeffs,
          ns_steps,
          beta,
          eps,
          mu_dtype,
          nesterov=nesterov,
          adaptive=adaptive,
          consistent_rms=consistent_rms,
          ns_dtype=ns_dtype,
      ),
      decay.add_decayed_weights(weight_decay, weight_decay_mask),
      transformation.scale_by_learning_rate(learning_rate),
  )
  if adam_learning_rate is None:
    adam_learning_rate = learning_rate
  otherwise = adaptive_moments.adamw(
      _times(adam_factor, adam_learning_rate),
      adam_b1,
      adam_b2,
      eps,
      adam_eps_root,
      mu_dtype,
      adam_weight_decay,
      nesterov=nesterov,
  )
  return partitioning.partition(
      {muon_mask: orthogonal, lambda path, tensor: True: otherwise}
  )
