"""Exponential moving averages, of updates or of weights."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from . import moments, nests, transformation


class EmaState(NamedTuple):
  """The number of updates and the average, which starts at 0."""

  count: tf.Tensor
  ema: nests.Nest


def ema(
    decay: float,
    debias: bool = True,
    accumulator_dtype: tf.DType | None = None,
) -> transformation.GradientTransformation:
  r"""Averages its inputs with exponential decay.

  .. math::
    a_t = a_{t-1} + (1 - \beta) (x_t - a_{t-1}), \qquad
    u_t = a_t / (1 - \beta^t)

  In a `chain` it averages the updates. To average the weights, pass them as
  gradients after every step, and evaluate with `ema_average` of the state.

  Args:
    decay: The rate :math:`\beta`, in [0, 1).
    debias: Whether to correct the average for its start at 0.
    accumulator_dtype: The dtype of the average. Default: the parameters'.

  Returns:
    A transformation; its state holds a count and one tensor per parameter.

  Raises:
    ValueError: If `decay` is not in [0, 1).

  Reference:
    `Adam <https://arxiv.org/abs/1412.6980>`_, section 7.2; ``optax.ema``. The
    average of a constant is that constant; Optax, which rounds `decay` and 1 -
    `decay` separately, loses 2e-4 of it in float32 at a decay of 0.9999.

  Example:
    >>> from core import optimizers
    >>> average = optimizers.ema(0.5)
    >>> state = average.init({'w': tf.constant(0.0)})
    >>> for value in (1.0, 4.0):
    ...   w = {'w': tf.constant(value)}
    ...   mean, state = average.update(w, state, w)
    >>> float(mean['w'])
    3.0
  """
  decay = moments.rate('decay', decay)

  def init(parameters: nests.Nest) -> EmaState:
    return EmaState(
        count=transformation.zero_count(),
        ema=nests.zeros_like(parameters, accumulator_dtype),
    )

  def accumulate(value: tf.Tensor, average: tf.Tensor) -> tf.Tensor:
    average = tf.cast(average, value.dtype)
    return average + nests.times(1 - decay, value - average)

  def update(
      gradients: nests.Nest, state: EmaState, parameters: nests.Nest
  ) -> tuple[nests.Nest, EmaState]:
    new = EmaState(
        count=state.count + 1,
        ema=tf.nest.map_structure(accumulate, gradients, state.ema),
    )
    updates = ema_average(new, decay) if debias else new.ema
    return updates, EmaState(new.count, nests.cast_like(new.ema, state.ema))

  return transformation.create(init, update)


def ema_average(state: EmaState, decay: float) -> nests.Nest:
  r"""Returns the average in the state of `ema`, without bias.

  .. math::
    a_t / (1 - \beta^t)

  Args:
    state: The state after at least one update; before it, the result is NaN.
    decay: The rate that was given to `ema`.

  Returns:
    A nest of tensors, at least float32.

  Raises:
    ValueError: If `decay` is not in [0, 1).

  Reference:
    `Adam <https://arxiv.org/abs/1412.6980>`_, section 7.2.

  Example:
    >>> from core import optimizers
    >>> average, w = optimizers.ema(0.999), {'w': tf.constant(2.0)}
    >>> _, state = average.update(w, average.init(w), w)
    >>> round(float(optimizers.ema_average(state, 0.999)['w']), 4)
    2.0
  """
  rate = nests.scalar(moments.rate('decay', decay), tf.float64)
  divisor = 1 - rate ** tf.cast(state.count, tf.float64)
  return tf.nest.map_structure(
      lambda average: nests.widen(average)
      / tf.cast(divisor, nests.widen(average).dtype),
      state.ema,
  )
