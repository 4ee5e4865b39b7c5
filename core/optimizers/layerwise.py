"""LARS and LAMB: steps in proportion to the norm of each tensor."""

from __future__ import annotations

import math

import tensorflow as tf

from .. import checks
from . import adaptive_moments, decay, nests, partitioning, transformation
from . import momentum as momentum_lib


def scale_by_trust_ratio(
    min_norm: float = 0.0, trust_coefficient: float = 1.0, eps: float = 0.0
) -> transformation.GradientTransformation:
  r"""Makes the norm of each update proportional to that of its parameter.

  .. math::
    u \leftarrow u \, \eta \|w\| / (\|u\| + \epsilon)

  and unchanged :math:`u` where one of the norms is 0.

  Args:
    min_norm: The minimum value of both norms.
    trust_coefficient: The factor :math:`\eta`, non-negative.
    eps: Added to the divisor.

  Returns:
    A stateless transformation.

  Raises:
    ValueError: If a number is negative.

  Reference:
    `LARS <https://arxiv.org/abs/1708.03888>`_, equation 6;
    ``optax.scale_by_trust_ratio``.

  Example:
    >>> from core import optimizers
    >>> w = {'w': tf.constant([3.0, 4.0])}
    >>> updates = {'w': tf.constant([2.0, 0.0])}
    >>> scaled, _ = optimizers.scale_by_trust_ratio().update(updates, (), w)
    >>> scaled['w'].numpy().tolist()
    [5.0, 0.0]
  """
  checks.in_range('min_norm', min_norm, 0, math.inf)
  checks.in_range('trust_coefficient', trust_coefficient, 0, math.inf)
  checks.in_range('eps', eps, 0, math.inf)

  def rescale(update: tf.Tensor, parameter: tf.Tensor) -> tf.Tensor:
    least, coefficient, divisor_eps = (
        nests.scalar(number, update.dtype)
        for number in (min_norm, trust_coefficient, eps)
    )
    parameter_norm = tf.maximum(tf.norm(parameter), least)
    update_norm = tf.maximum(tf.norm(update), least)
    ratio = coefficient * parameter_norm / (update_norm + divisor_eps)
    is_zero = tf.logical_or(parameter_norm == 0, update_norm == 0)
    return update * tf.where(is_zero, tf.ones_like(ratio), ratio)

  return transformation.stateless(
      lambda gradients, parameters: tf.nest.map_structure(
          rescale, gradients, parameters
      )
  )


def lars(
    learning_rate: transformation.ScalarOrSchedule,
    weight_decay: transformation.ScalarOrSchedule = 0.0,
    weight_decay_mask: partitioning.Mask | None = None,
    trust_coefficient: float = 0.001,
    eps: float = 0.0,
    trust_ratio_mask: partitioning.Mask | None = None,
    momentum: float = 0.9,
    nesterov: bool = False,
) -> transformation.GradientTransformation:
  """Layer-wise adaptive rate scaling, for very large batches.

  Args:
    learning_rate: A non-negative number, or a schedule.
    weight_decay: The factor of the parameters, or a schedule of it.
    weight_decay_mask: Which parameters decay, see `add_decayed_weights`.
      Exclude biases and the scales of normalization layers. Default: all.
    trust_coefficient: The size of a step relative to the parameter.
    eps: Added to the norm of the update.
    trust_ratio_mask: Which parameters have their steps rescaled. Default: all.
    momentum: The decay of the sum of steps, in [0, 1).
    nesterov: Whether to use Nesterov momentum, see `trace`.

  Returns:
    A transformation; its state holds one tensor per parameter.

  Raises:
    ValueError: If a number is out of range or a mask is invalid.

  Reference:
    `LARS <https://arxiv.org/abs/1708.03888>`_, algorithm 1; ``optax.lars``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.lars(0.5, trust_coefficient=0.1)
    >>> w, gradients = {'w': tf.constant(4.0)}, {'w': tf.constant(100.0)}
    >>> updates, _ = optimizer.update(gradients, optimizer.init(w), w)
    >>> round(float(updates['w']), 4)
    -0.2
  """
  checks.rate('momentum', momentum)
  rescale = scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps)
  if trust_ratio_mask is not None:
    rescale = partitioning.masked(rescale, trust_ratio_mask)
  return transformation.chain(
      decay.add_decayed_weights(weight_decay, weight_decay_mask),
      rescale,
      transformation.scale_by_learning_rate(learning_rate),
      momentum_lib.trace(momentum, nesterov),
  )


def lamb(
    learning_rate: transformation.ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
    eps_root: float = 0.0,
    weight_decay: transformation.ScalarOrSchedule = 0.0,
    mask: partitioning.Mask | None = None,
) -> transformation.GradientTransformation:
  """Adam with the trust ratio of LARS, for very large batches.

  Args:
    learning_rate: A non-negative number, or a schedule.
    b1: The decay of the mean, in [0, 1).
    b2: The decay of the mean square, in [0, 1).
    eps: Added outside the root.
    eps_root: Added inside the root.
    weight_decay: The factor of the parameters, or a schedule of it.
    mask: Which parameters decay, see `add_decayed_weights`. Default: all.

  Returns:
    A transformation; its state holds a count and two tensors per parameter.

  Raises:
    ValueError: If a number is out of range or `mask` is invalid.

  Reference:
    `Large batch optimization for deep learning
    <https://arxiv.org/abs/1904.00962>`_, algorithm 2; ``optax.lamb``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.lamb(learning_rate=0.5)
    >>> w, gradients = {'w': tf.constant(4.0)}, {'w': tf.constant(100.0)}
    >>> updates, _ = optimizer.update(gradients, optimizer.init(w), w)
    >>> round(float(updates['w']), 4)
    -2.0
  """
  return transformation.chain(
      adaptive_moments.scale_by_adam(b1, b2, eps, eps_root),
      decay.add_decayed_weights(weight_decay, mask),
      scale_by_trust_ratio(),
      transformation.scale_by_learning_rate(learning_rate),
  )
