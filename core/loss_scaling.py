"""Dynamic loss scaling, which keeps float16 gradients from vanishing.

The loss is multiplied before the gradient is taken, and the gradient is divided
afterwards. The factor is as large as it can be: it is halved after a step whose
gradients were not finite, which is not taken, and doubled after many in a row
that were. It may fall below 1, for losses whose gradients are beyond float16
themselves, such as those of large class weights.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

# The smallest normal float32; its inverse is one too.
_SMALLEST = 2.0**-126
# The smallest float16 times it is 1: more would lift nothing out of rounding to
# 0. A loss, which is float32, stays finite up to 2^104.
_LARGEST = 2.0**24
_LARGEST_FLOAT16 = 65504.0


class LossScale(NamedTuple):
  """The factor, float32 ``[]``, and the finite steps since it was set."""

  scale: tf.Tensor
  good_steps: tf.Tensor


def init(scale: float = 2.0**15) -> LossScale:
  """Returns the state to begin with.

  Args:
    scale: The factor, a power of 2: then scaling does not round.

  Returns:
    The state.

  Raises:
    ValueError: If the scale is not from 2^-126 to 2^24.
  """
  if not _SMALLEST <= scale <= _LARGEST:
    raise ValueError(
        f'scale: expected a number in [2^-126, 2^24], got {scale}.'
    )
  return LossScale(tf.constant(scale, tf.float32), tf.constant(0, tf.int64))


def scale(loss: tf.Tensor, state: LossScale) -> tf.Tensor:
  """Multiplies a loss.

  Args:
    loss: float32 ``[]``.
    state: The state.

  Returns:
    The loss times the scale, to take the gradient of.
  """
  return loss * state.scale


def unscale(gradients: Any, state: LossScale) -> Any:
  """Divides gradients.

  Args:
    gradients: A nest of float32 tensors, the gradients of a scaled loss.
    state: The state that the loss was scaled with.

  Returns:
    The gradients of the loss itself.
  """
  return tf.nest.map_structure(lambda g: g / state.scale, gradients)


def adjust(
    state: LossScale,
    is_finite: tf.Tensor,
    *,
    growth_interval: int = 2000,
    factor: float = 2.0,
) -> LossScale:
  """Moves the scale, after a step.

  Args:
    state: The state.
    is_finite: Whether all gradients of the step were finite, bool ``[]``.
    growth_interval: After how many finite steps in a row the scale grows.
    factor: What the scale is divided or multiplied by.

  Returns:
    The new state; the scale stays in [2^-126, 2^24], as low as float32 allows:
    the scale and its inverse are normal numbers.

  Reference:
    `Micikevicius et al. 2018 <https://arxiv.org/abs/1710.03740>`_, section 3.2;
    the schedule is that of ``torch.amp.GradScaler``.

  Example:
    >>> import tensorflow as tf
    >>> from core import loss_scaling
    >>> state = loss_scaling.init(1024.0)
    >>> float(loss_scaling.adjust(state, tf.constant(False)).scale)
    512.0
  """
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

  Each replica sums those of its examples in float16, and the sums are added in
  float32. One replica would sum all of them in float16: what is too large for
  that counts as too large on any number of replicas and in any micro-batches,
  so that all of them skip the same steps. It does so for gradients that were
  computed in another type, too: a loss scale is meant for float16.

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
