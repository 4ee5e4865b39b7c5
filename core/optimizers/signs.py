"""Lion: steps of equal size, by the signs of a mean of gradients."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from . import decay, moments, nests, partitioning, transformation


class ScaleByLionState(NamedTuple):
  """The mean of gradients."""

  mu: nests.Nest


def scale_by_lion(
    b1: float = 0.9, b2: float = 0.99, mu_dtype: tf.DType | None = None
) -> transformation.GradientTransformation:
  r"""Returns the sign of a mean of gradients.

  .. math::
    u_t = \mathrm{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t), \qquad
    m_t = \beta_2 m_{t-1} + (1 - \beta_2) g_t

  Args:
    b1: The decay :math:`\beta_1` of the mean whose sign is taken, in [0, 1).
    b2: The decay :math:`\beta_2` of the stored mean, in [0, 1).
    mu_dtype: The dtype of the stored mean. Default: that of the parameters.

  Returns:
    A transformation; its state holds one tensor per parameter.

  Raises:
    ValueError: If a decay is not in [0, 1).

  Reference:
    `Symbolic discovery of optimization algorithms
    <https://arxiv.org/abs/2302.06675>`_, program 1; ``optax.scale_by_lion``.

  Example:
    >>> from core import optimizers
    >>> transform = optimizers.scale_by_lion()
    >>> w = {'w': tf.constant([4.0, -0.5])}
    >>> updates, _ = transform.update(w, transform.init(w), w)
    >>> updates['w'].numpy().tolist()
    [1.0, -1.0]
  """
  b1, b2 = moments.rate('b1', b1), moments.rate('b2', b2)

  def init(parameters: nests.Nest) -> ScaleByLionState:
    return ScaleByLionState(nests.zeros_like(parameters, mu_dtype))

  def update(
      gradients: nests.Nest, state: ScaleByLionState, parameters: nests.Nest
  ) -> tuple[nests.Nest, ScaleByLionState]:
    updates = tf.nest.map_structure(
        tf.sign, moments.update_moment(gradients, state.mu, b1, 1)
    )
    mu = moments.update_moment(gradients, state.mu, b2, 1)
    return updates, ScaleByLionState(nests.cast_like(mu, state.mu))

  return transformation.create(init, update)


def lion(
    learning_rate: transformation.ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.99,
    mu_dtype: tf.DType | None = None,
    weight_decay: transformation.ScalarOrSchedule = 1e-3,
    mask: partitioning.Mask | None = None,
) -> transformation.GradientTransformation:
  """Lion: `scale_by_lion`, decoupled weight decay and a learning rate.

  Its steps are larger than Adam's; the authors use a learning rate 3 to 10
  times lower and a weight decay higher by the same factor.

  Args:
    learning_rate: A non-negative number, or a schedule.
    b1: The decay of the mean whose sign is taken, in [0, 1).
    b2: The decay of the stored mean, in [0, 1).
    mu_dtype: The dtype of the stored mean, see `scale_by_lion`.
    weight_decay: The factor of the parameters, or a schedule of it.
    mask: Which parameters decay, see `add_decayed_weights`. Default: all.

  Returns:
    A transformation; its state holds one tensor per parameter.

  Raises:
    ValueError: If a number is out of range or `mask` is invalid.

  Reference:
    `Symbolic discovery of optimization algorithms
    <https://arxiv.org/abs/2302.06675>`_; ``optax.lion``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.lion(learning_rate=0.5, weight_decay=0.25)
    >>> w = {'w': tf.constant(4.0)}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> float(updates['w'])
    -1.0
  """
  return transformation.chain(
      scale_by_lion(b1, b2, mu_dtype),
      decay.add_decayed_weights(weight_decay, mask),
      transformation.scale_by_learning_rate(learning_rate),
  )
