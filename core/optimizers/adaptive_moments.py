"""Adam and its variants: steps in units of the gradients' running moments."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from .. import checks
from . import decay, moments, nests, partitioning, transformation


class ScaleByAdamState(NamedTuple):
  """The number of updates and the first and second moment."""

  count: tf.Tensor
  mu: nests.Nest
  nu: nests.Nest


def scale_by_adam(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: tf.DType | None = None,
    *,
    nesterov: bool = False,
) -> transformation.GradientTransformation:
  r"""Divides the mean of gradients by the root of their mean square.

  .. math::
    m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
    v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \quad
    u_t = \frac{m_t / (1 - \beta_1^t)}
    {\sqrt{v_t / (1 - \beta_2^t) + \epsilon_0} + \epsilon}

  Args:
    b1: The decay :math:`\beta_1` of the mean, in [0, 1).
    b2: The decay :math:`\beta_2` of the mean square, in [0, 1).
    eps: Added outside the root.
    eps_root: Added inside the root.
    mu_dtype: The dtype of the stored mean. Default: that of the parameters.
    nesterov: Whether to use Nesterov momentum (NAdam).

  Returns:
    A transformation; its state holds a count and two tensors per parameter.

  Raises:
    ValueError: If a decay is not in [0, 1) or an epsilon is negative.

  Reference:
    `Adam <https://arxiv.org/abs/1412.6980>`_, algorithm 1;
    ``optax.scale_by_adam``.

  Example:
    >>> from core import optimizers
    >>> transform = optimizers.scale_by_adam()
    >>> w = {'w': tf.constant([4.0, -0.5])}
    >>> updates, _ = transform.update(w, transform.init(w), w)
    >>> [round(float(u), 4) for u in updates['w']]
    [1.0, -1.0]
  """
  b1, b2 = moments.rate('b1', b1), moments.rate('b2', b2)
  checks.in_range('eps', eps, 0, math.inf)
  checks.in_range('eps_root', eps_root, 0, math.inf)

  def init(parameters: nests.Nest) -> ScaleByAdamState:
    return ScaleByAdamState(
        count=transformation.zero_count(),
        mu=nests.zeros_like(parameters, mu_dtype),
        nu=nests.zeros_like(parameters),
    )

  def divide(mean: tf.Tensor, square: tf.Tensor) -> tf.Tensor:
    inside, outside = (nests.scalar(e, mean.dtype) for e in (eps_root, eps))
    return mean / (tf.sqrt(square + inside) + outside)

  def update(
      gradients: nests.Nest, state: ScaleByAdamState, parameters: nests.Nest
  ) -> tuple[nests.Nest, ScaleByAdamState]:
    count = state.count + 1
    mu = moments.update_moment(gradients, state.mu, b1, 1)
    nu = moments.update_moment(gradients, state.nu, b2, 2)
    updates = tf.nest.map_structure(
        divide,
        moments.corrected_mean(mu, gradients, b1, count, nesterov),
        moments.bias_correction(nu, b2, count),
    )
    return updates, ScaleByAdamState(count, nests.cast_like(mu, state.mu), nu)

  return transformation.create(init, update)


def adam(
    learning_rate: transformation.ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: tf.DType | None = None,
    *,
    nesterov: bool = False,
) -> transformation.GradientTransformation:
  """Adam: `scale_by_adam` and a learning rate.

  Args:
    learning_rate: A non-negative number, or a schedule.
    b1: The decay of the mean, in [0, 1).
    b2: The decay of the mean square, in [0, 1).
    eps: Added outside the root.
    eps_root: Added inside the root.
    mu_dtype: The dtype of the stored mean, see `scale_by_adam`.
    nesterov: Whether to use Nesterov momentum.

  Returns:
    A transformation; its state holds a count and two tensors per parameter.

  Raises:
    ValueError: If a number is out of range.

  Reference:
    `Adam <https://arxiv.org/abs/1412.6980>`_; ``optax.adam``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.adam(learning_rate=0.5)
    >>> w = {'w': tf.constant(4.0)}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> round(float(updates['w']), 4)
    -0.5
  """
  return transformation.chain(
      scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
      transformation.scale_by_learning_rate(learning_rate),
  )


def nadam(
    learning_rate: transformation.ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: tf.DType | None = None,
) -> transformation.GradientTransformation:
  """Adam with Nesterov's momentum.

  Args:
    learning_rate: A non-negative number, or a schedule.
    b1: The decay of the mean, in [0, 1).
    b2: The decay of the mean square, in [0, 1).
    eps: Added outside the root.
    eps_root: Added inside the root.
    mu_dtype: The dtype of the stored mean, see `scale_by_adam`.

  Returns:
    A transformation; its state holds a count and two tensors per parameter.

  Raises:
    ValueError: If a number is out of range.

  Reference:
    `Incorporating Nesterov momentum into Adam
    <https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ>`_; ``optax.nadam``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.nadam(learning_rate=1.0, b1=0.5)
    >>> w = {'w': tf.constant(4.0)}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> round(float(updates['w']), 4)
    -1.3333
  """
  return adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov=True)


def adamw(
    learning_rate: transformation.ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: tf.DType | None = None,
    weight_decay: transformation.ScalarOrSchedule = 1e-4,
    mask: partitioning.Mask | None = None,
    *,
    nesterov: bool = False,
) -> transformation.GradientTransformation:
  """Adam with decoupled weight decay, times the learning rate.

  Args:
    learning_rate: A non-negative number, or a schedule.
    b1: The decay of the mean, in [0, 1).
    b2: The decay of the mean square, in [0, 1).
    eps: Added outside the root.
    eps_root: Added inside the root.
    mu_dtype: The dtype of the stored mean, see `scale_by_adam`.
    weight_decay: The factor of the parameters, or a schedule of it.
    mask: Which parameters decay, see `add_decayed_weights`. Default: all.
    nesterov: Whether to use Nesterov momentum (NAdamW).

  Returns:
    A transformation; its state holds a count and two tensors per parameter.

  Raises:
    ValueError: If a number is out of range or `mask` is invalid.

  Reference:
    `Decoupled weight decay regularization <https://arxiv.org/abs/1711.05101>`_,
    algorithm 2; ``optax.adamw``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.adamw(learning_rate=0.5, weight_decay=0.25)
    >>> w = {'w': tf.constant(4.0)}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> round(float(updates['w']), 4)
    -1.0
  """
  return transformation.chain(
      scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
      decay.add_decayed_weights(weight_decay, mask),
      transformation.scale_by_learning_rate(learning_rate),
  )
