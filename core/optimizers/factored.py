"""Adafactor: second moments of matrices, stored as an outer product."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from .. import checks
from . import (
    averaging,
    clipping,
    decay,
    moments,
    nests,
    partitioning,
    transformation,
)


class FactoredState(NamedTuple):
  """The number of updates, and the second moments of each parameter by path.

  A factored parameter has two: the means over its largest and over its second
  largest axis. Any other has one, of its own shape.
  """

  count: tf.Tensor
  v: dict[str, tuple[tf.Tensor, ...]]


def _factored_axes(
    shape: tf.TensorShape, min_dim_size_to_factor: float
) -> tuple[int, int] | None:
  """Returns the largest and the second largest axis, if both are long."""
  axes = sorted(range(shape.rank), key=lambda axis: shape[axis])
  if shape.rank < 2 or shape[axes[-2]] < min_dim_size_to_factor:
    return None
  return axes[-1], axes[-2]


def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: float = 0.8,
    step_offset: int = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: float = 1e-30,
) -> transformation.GradientTransformation:
  r"""Divides by the root mean square, stored as row and column means.

  .. math::
    \beta_t = 1 - t^{-c}, \quad
    r_t = \beta_t r_{t-1} + (1 - \beta_t) \mathrm{mean}_j (g_t^2 + \epsilon),
    \quad
    c_t = \beta_t c_{t-1} + (1 - \beta_t) \mathrm{mean}_i (g_t^2 + \epsilon),
    \quad
    u_t = g_t / \sqrt{r_t c_t / \mathrm{mean}(r_t)}

  Args:
    factored: Whether to factor at all.
    decay_rate: The exponent :math:`c` of the decay.
    step_offset: The count at which the decay starts, for fine-tuning.
    min_dim_size_to_factor: The minimum size of the second largest axis of a
      factored parameter.
    epsilon: Added to the squares.

  Returns:
    A transformation; its state holds a count and, per parameter, its row and
    column means if factored, else a tensor of its shape.

  Raises:
    ValueError: If a number is negative.

  Reference:
    `Adafactor <https://arxiv.org/abs/1804.04235>`_, algorithm 4;
    ``optax.scale_by_factored_rms``.

  Example:
    >>> from core import optimizers
    >>> transform = optimizers.scale_by_factored_rms(min_dim_size_to_factor=2)
    >>> w = {'w': tf.constant([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]])}
    >>> updates, _ = transform.update(w, transform.init(w), w)
    >>> [[round(float(u), 4) for u in row] for row in updates['w']]
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
  """
  checks.in_range('decay_rate', decay_rate, 0, math.inf)
  checks.in_range('step_offset', step_offset, 0, math.inf)
  checks.in_range('epsilon', epsilon, 0, math.inf)
  min_dim_size_to_factor = checks.static(
      'min_dim_size_to_factor', min_dim_size_to_factor
  )
  least_size = min_dim_size_to_factor if factored else math.inf
  decay_rate = moments.exact(decay_rate)

  def init_one(parameter: tf.Tensor) -> tuple[tf.Tensor, ...]:
    shape, axes = parameter.shape, _factored_axes(parameter.shape, least_size)
    if axes is None:
      return (tf.zeros_like(parameter),)
    return tuple(
        tf.zeros(shape[:axis] + shape[axis + 1 :], parameter.dtype)
        for axis in axes
    )

  def update_one(
      gradient: tf.Tensor, means: tuple[tf.Tensor, ...], rate: tf.Tensor
  ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
    rate = tf.cast(rate, gradient.dtype)
    square = tf.square(gradient) + nests.scalar(epsilon, gradient.dtype)
    axes = _factored_axes(gradient.shape, least_size)
    if axes is None:
      mean = rate * means[0] + (1 - rate) * square
      return gradient * tf.math.rsqrt(mean), (mean,)
    row, column = (
        rate * mean + (1 - rate) * tf.reduce_mean(square, axis)
        for mean, axis in zip(means, axes, strict=True)
    )
    largest, second = axes
    # In the row means, the axes after the largest have moved up.
    second_of_row = second - 1 if second > largest else second
    row_share = row / tf.reduce_mean(row, second_of_row, keepdims=True)
    update = (
        gradient
        * tf.expand_dims(tf.math.rsqrt(row_share), largest)
        * tf.expand_dims(tf.math.rsqrt(column), second)
    )
    return update, (row, column)

  def init(parameters: nests.Nest) -> FactoredState:
    leaves = map(init_one, tf.nest.flatten(parameters))
    return FactoredState(
        count=transformation.zero_count(),
        v=dict(zip(nests.paths(parameters), leaves, strict=True)),
    )

  def update(
      gradients: nests.Nest, state: FactoredState, parameters: nests.Nest
  ) -> tuple[nests.Nest, FactoredState]:
    offset = nests.scalar(step_offset, tf.int64)
    step = tf.cast(tf.maximum(state.count - offset, 0) + 1, tf.float64)
    rate = 1 - step**-decay_rate
    updates, v = [], {}
    for path, gradient in zip(
        nests.paths(gradients), tf.nest.flatten(gradients), strict=True
    ):
      one, v[path] = update_one(gradient, state.v[path], rate)
      updates.append(one)
    return (
        tf.nest.pack_sequence_as(gradients, updates),
        FactoredState(state.count + 1, v),
    )

  return transformation.create(init, update)


def scale_by_param_block_rms(
    min_scale: float = 1e-3,
) -> transformation.GradientTransformation:
  """Multiplies each update by the root mean square of its parameter.

  Args:
    min_scale: The minimum root mean square to multiply by.

  Returns:
    A stateless transformation.

  Raises:
    ValueError: If `min_scale` is negative.

  Reference:
    `Adafactor <https://arxiv.org/abs/1804.04235>`_, section 8;
    ``optax.scale_by_param_block_rms``.

  Example:
    >>> from core import optimizers
    >>> w, updates = {'w': tf.constant([2.0, -2.0])}, {'w': tf.ones([2])}
    >>> scaled, _ = optimizers.scale_by_param_block_rms().update(
    ...     updates, (), w)
    >>> scaled['w'].numpy().tolist()
    [2.0, 2.0]
  """
  checks.in_range('min_scale', min_scale, 0, math.inf)

  def rescale(update: tf.Tensor, parameter: tf.Tensor) -> tf.Tensor:
    size = tf.sqrt(tf.reduce_mean(tf.square(parameter)))
    return update * tf.maximum(size, nests.scalar(min_scale, size.dtype))

  return transformation.stateless(
      lambda gradients, parameters: tf.nest.map_structure(
          rescale, gradients, parameters
      )
  )


def adafactor(
    learning_rate: transformation.ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: float = 0.8,
    decay_offset: int = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: float | None = 1.0,
    momentum: float | None = None,
    dtype_momentum: tf.DType | None = None,
    weight_decay_rate: transformation.ScalarOrSchedule | None = None,
    eps: float = 1e-30,
    factored: bool = True,
    weight_decay_mask: partitioning.Mask | None = None,
) -> transformation.GradientTransformation:
  """Adafactor: adaptive steps with little memory.

  Args:
    learning_rate: A non-negative number, or a schedule. Default: 1.
    min_dim_size_to_factor: See `scale_by_factored_rms`.
    decay_rate: The exponent of the decay.
    decay_offset: The count at which the decay starts.
    multiply_by_parameter_scale: Whether steps are relative to the root mean
      square of the parameter.
    clipping_threshold: The maximum root mean square of an update before the
      learning rate. If None, there is no bound.
    momentum: The decay of averaged updates, in [0, 1). Default: no average.
    dtype_momentum: The dtype of the stored average, see `ema`.
    weight_decay_rate: The factor of the parameters, or a schedule of it, not
      multiplied by the learning rate. Default: no decay.
    eps: Added to the squares.
    factored: Whether to factor at all.
    weight_decay_mask: Which parameters decay, see `add_decayed_weights`.

  Returns:
    A transformation, with the state of `scale_by_factored_rms` and, with
    momentum, one tensor per parameter.

  Raises:
    ValueError: If a number is out of range or the mask is invalid.

  Reference:
    `Adafactor <https://arxiv.org/abs/1804.04235>`_; ``optax.adafactor``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.adafactor(learning_rate=0.5)
    >>> w = {'w': tf.constant([2.0, -2.0])}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> [round(float(u), 4) for u in updates['w']]
    [-1.0, 1.0]
  """
  checks.in_range('decay_offset', decay_offset, 0, math.inf)
  checks.in_range('eps', eps, 0, math.inf)
  if clipping_threshold is not None:
    checks.positive('clipping_threshold', clipping_threshold)
  if momentum is not None:
    checks.rate('momentum', momentum)
  parts = [
      scale_by_factored_rms(
          factored, decay_rate, decay_offset, min_dim_size_to_factor, eps
      )
  ]
  if clipping_threshold is not None:
    parts.append(clipping.clip_by_block_rms(clipping_threshold))
  if learning_rate is not None:
    parts.append(
        transformation.scale_by_learning_rate(learning_rate, flip_sign=False)
    )
  if multiply_by_parameter_scale:
    parts.append(scale_by_param_block_rms())
  if momentum is not None:
    parts.append(averaging.ema(momentum, False, dtype_momentum))
  if weight_decay_rate is not None:
    parts.append(
        decay.add_decayed_weights(weight_decay_rate, weight_decay_mask)
    )
  return transformation.chain(*parts, transformation.scale(-1))
