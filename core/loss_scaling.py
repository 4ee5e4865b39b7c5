"""Dynamic loss scaling, which prevents float16 gradients from underflowing.

The loss is multiplied by a scale before the gradients are computed, and the
gradients are divided by it. The scale is kept as large as possible: it is
halved after a step whose gradients are not finite, which is skipped, and
doubled after many finite steps in a row. It may fall below 1 if the gradients
themselves overflow float16, for example with large class weights.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tensorflow as tf

from . import checks

# The smallest normal float32, whose inverse is also normal.
_SMALLEST = 2.0**-126
# Times the smallest float16 this is 1, so a larger scale would not prevent any
# underflow. A float32 loss stays finite up to 2^104.
_LARGEST = 2.0**24
_LARGEST_FLOAT16 = 65504.0


class LossScale(NamedTuple):
  """The scale, float32 ``[]``, and the finite steps since its last change."""

  scale: tf.Tensor
  good_steps: tf.Tensor


def init(scale: float = 2.0**15) -> LossScale:
  """Returns the initial state.

  Args:
    scale: The initial scale. With a power of 2, scaling does not round.

  Returns:
    The state.

  Raises:
    ValueError: If the scale is not in [2^-126, 2^24].
  """
  checks.number('scale', scale)
  if not _SMALLEST <= scale <= _LARGEST:
    raise ValueError(
        f'scale: expected a number in [2^-126, 2^24], got {scale}.'
    )
  return LossScale(tf.constant(scale, tf.float32), tf.constant(0, tf.int64))


def scale(loss: tf.Tensor, state: LossScale) -> tf.Tensor:
  """Multiplies a loss by the scale.

  Args:
    loss: The loss, float32 ``[]``.
    state: The state.

  Returns:
    The scaled loss, whose gradients are to be computed.
  """
  return loss * state.scale


def unscale(gradients: Any, state: LossScale) -> Any:
  """Divides gradients by the scale.

  Args:
    gradients: A nest of float32 tensors, the gradients of a scaled loss.
    state: The state with which the loss was scaled.

  Returns:
    The gradients of the unscaled loss.
  """
  return tf.nest.map_structure(lambda g: g / state.scale, gradients)


def adjust(
    state: LossScale,
    is_finite: tf.Tensor,
    *,
    growth_interval: int = 2000,
    factor: float = 2.0,
) -> LossScale:
  """Adjusts the scale after a step.

  Args:
    state: The state.
    is_finite: Whether all gradients of the step were finite, bool ``[]``.
    growth_interval: The number of finite steps in a row before the scale grows.
    factor: The factor by which the scale grows or shrinks.

  Returns:
    The new state. The scale stays in [2^-126, 2^24]: it and its inverse are
    normal float32 numbers.

  Raises:
    ValueError: If the interval is smaller than 1 or the factor than that.

  Reference:
    `Micikevicius et al. 2018 <https://arxiv.org/abs/1710.03740>`_, section 3.2,
    with the schedule of ``torch.amp.GradScaler``.

  Example:
    >>> import tensorflow as tf
    >>> from core import loss_scaling
    >>> state = loss_scaling.init(1024.0)
    >>> float(loss_scaling.adjust(state, tf.constant(False)).scale)
    512.0
  """
  checks.size('growth_interval', growth_interval)
  checks.in_range('factor', factor, 1.0, math.inf)
  good_steps = tf.where(is_finite, state.good_steps + 1, 0)
  grows = good_steps >= growth_interval
  moved = tf.where(grows, state.scale * factor, state.scale)
  moved = tf.where(is_finite, moved, state.scale / factor)
  return LossScale(
      scale=tf.clip_by_value(moved, _SMALLEST, _LARGEST),
      good_steps=tf.where(grows, tf.zeros_like(good_steps), good_steps),
  )


def fits(gradients: Any) -> tf.Tensor:
  """Returns whether gradients, summed over replicas, are in float16's range.

  Each replica sums the gradients of its examples in float16, and these sums are
  added in float32, whereas a single replica would sum all of them in float16.
  Gradients too large for that count as overflow on any number of replicas and
  micro-batches, so that all of them skip the same steps. This also applies to
  gradients computed in another dtype, since a loss scale is meant for float16.

  Args:
    gradients: A nest of float32 tensors, the gradients of the scaled sum of all
      examples' losses.

  Returns:
    bool ``[]``; False if an element is not finite.

  Example:
    >>> import tensorflow as tf
    >>> from core import loss_scaling
    >>> bool(loss_scaling.fits([tf.constant(40000.0) + 40000.0]))
    False
  """
  return tf.reduce_all([
      tf.reduce_all(tf.abs(tensor) <= _LARGEST_FLOAT16)
      for tensor in tf.nest.flatten(gradients)
  ])


def all_finite(tensors: Any) -> tf.Tensor:
  """Returns whether every element of a nest of tensors is finite.

  Args:
    tensors: A nest of floating-point tensors.

  Returns:
    bool ``[]``.
  """
  return tf.reduce_all([
      tf.reduce_all(tf.math.is_finite(tensor))
      for tensor in tf.nest.flatten(tensors)
  ])
