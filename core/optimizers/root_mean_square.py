"""RMSProp and Adagrad: steps in units of the size of past gradients."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from .. import checks
from . import moments, nests, transformation
from . import momentum as momentum_lib


class ScaleByRmsState(NamedTuple):
  """The number of updates, the mean if centered, and the mean square."""

  count: tf.Tensor
  mu: nests.Nest
  nu: nests.Nest


class ScaleByRssState(NamedTuple):
  """The sum of squares of gradients."""

  sum_of_squares: nests.Nest


def _full_like(parameters: nests.Nest, value: float) -> nests.Nest:
  return tf.nest.map_structure(
      lambda parameter: tf.fill(
          parameter.shape, nests.scalar(value, parameter.dtype)
      ),
      parameters,
  )


def scale_by_rms(
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
    *,
    centered: bool = False,
) -> transformation.GradientTransformation:
  r"""Divides by the root mean square of gradients, or their deviation.

  .. math::
    v_t = \beta v_{t-1} + (1 - \beta) g_t^2, \qquad
    u_t = g_t / \sqrt{v_t + \epsilon}

  If centered, :math:`v_t - m_t^2` replaces :math:`v_t`, with :math:`m_t` the
  mean of gradients.

  Args:
    decay: The rate :math:`\beta` of the means, in [0, 1).
    eps: Keeps the divisor from 0.
    initial_scale: The mean square before the first step.
    eps_in_sqrt: Whether to add `eps` inside the root.
    bias_correction: Whether to correct the means for their start at 0.
    centered: Whether to subtract the squared mean (``optax.scale_by_stddev``).

  Returns:
    A transformation; its state holds a count and one tensor (centered: two) per
    parameter.

  Raises:
    ValueError: If a number is out of range.

  Reference:
    `Generating sequences with recurrent neural networks
    <https://arxiv.org/abs/1308.0850>`_, equations 38 to 41;
    ``optax.scale_by_rms``.

  Example:
    >>> from core import optimizers
    >>> transform = optimizers.scale_by_rms(decay=0.75)
    >>> w = {'w': tf.constant(3.0)}
    >>> updates, _ = transform.update(w, transform.init(w), w)
    >>> round(float(updates['w']), 4)
    2.0
  """
  decay = moments.rate('decay', decay)
  checks.in_range('eps', eps, 0, math.inf)
  checks.in_range('initial_scale', initial_scale, 0, math.inf)

  def init(parameters: nests.Nest) -> ScaleByRmsState:
    return ScaleByRmsState(
        count=transformation.zero_count(),
        mu=nests.zeros_like(parameters) if centered else (),
        nu=_full_like(parameters, initial_scale),
    )

  def corrected(moment: nests.Nest, count: tf.Tensor) -> nests.Nest:
    if not bias_correction:
      return moment
    return moments.bias_correction(moment, decay, count)

  def divide(gradient: tf.Tensor, square: tf.Tensor) -> tf.Tensor:
    least = nests.scalar(eps, square.dtype)
    if eps_in_sqrt:
      return gradient * tf.math.rsqrt(square + least)
    return gradient / (tf.sqrt(square) + least)

  def update(
      gradients: nests.Nest, state: ScaleByRmsState, parameters: nests.Nest
  ) -> tuple[nests.Nest, ScaleByRmsState]:
    count, mu = state.count + 1, state.mu
    nu = moments.update_moment(gradients, state.nu, decay, 2)
    squares = corrected(nu, count)
    if centered:
      mu = moments.update_moment(gradients, mu, decay, 1)
      # Rounding can make the variance of a constant gradient negative.
      squares = tf.nest.map_structure(
          lambda square, mean: tf.maximum(square - mean**2, 0),
          squares,
          corrected(mu, count),
      )
    updates = tf.nest.map_structure(divide, gradients, squares)
    return updates, ScaleByRmsState(count, mu, nu)

  return transformation.create(init, update)


def rmsprop(
    learning_rate: transformation.ScalarOrSchedule,
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: float | None = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> transformation.GradientTransformation:
  """RMSProp: `scale_by_rms`, a learning rate, and momentum of the steps.

  Args:
    learning_rate: A non-negative number, or a schedule.
    decay: The rate of the means, in [0, 1).
    eps: Keeps the divisor from 0.
    initial_scale: The mean square before the first step.
    eps_in_sqrt: Whether to add `eps` inside the root.
    centered: Whether to divide by the standard deviation.
    momentum: The decay of the sum of steps, in [0, 1). Default: no sum.
    nesterov: Whether to use Nesterov momentum, see `trace`.
    bias_correction: Whether to correct the means for their start at 0.

  Returns:
    A transformation; its state holds one to three tensors per parameter.

  Raises:
    ValueError: If a number is out of range, or `nesterov` lacks momentum.

  Reference:
    `Generating sequences with recurrent neural networks
    <https://arxiv.org/abs/1308.0850>`_, equations 38 to 45; ``optax.rmsprop``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.rmsprop(learning_rate=0.5, decay=0.75)
    >>> w = {'w': tf.constant(3.0)}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> round(float(updates['w']), 4)
    -1.0
  """
  if momentum is not None:
    checks.rate('momentum', momentum)
  elif nesterov:
    raise ValueError('nesterov: True needs momentum, such as 0.9.')
  return transformation.chain(
      scale_by_rms(
          decay,
          eps,
          initial_scale,
          eps_in_sqrt,
          bias_correction,
          centered=centered,
      ),
      transformation.scale_by_learning_rate(learning_rate),
      transformation.identity()
      if momentum is None
      else momentum_lib.trace(momentum, nesterov),
  )


def scale_by_rss(
    initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> transformation.GradientTransformation:
  r"""Divides by the root of the sum of all squares.

  .. math::
    s_t = s_{t-1} + g_t^2, \qquad u_t = g_t / \sqrt{s_t + \epsilon}

  Args:
    initial_accumulator_value: The sum before the first step.
    eps: Keeps the divisor from 0.

  Returns:
    A transformation; its state holds one tensor per parameter.

  Raises:
    ValueError: If a number is negative.

  Reference:
    `Adaptive subgradient methods
    <https://jmlr.org/papers/v12/duchi11a.html>`_, figure 1, diagonal form;
    ``optax.scale_by_rss``.

  Example:
    >>> from core import optimizers
    >>> transform = optimizers.scale_by_rss(initial_accumulator_value=16.0)
    >>> w = {'w': tf.constant(3.0)}
    >>> updates, _ = transform.update(w, transform.init(w), w)
    >>> round(float(updates['w']), 4)
    0.6
  """
  checks.in_range(
      'initial_accumulator_value', initial_accumulator_value, 0, math.inf
  )
  checks.in_range('eps', eps, 0, math.inf)

  def init(parameters: nests.Nest) -> ScaleByRssState:
    return ScaleByRssState(_full_like(parameters, initial_accumulator_value))

  def divide(gradient: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    # Not the negation of > 0: NaN must not turn into a step of 0.
    update = gradient * tf.math.rsqrt(total + nests.scalar(eps, total.dtype))
    return tf.where(total <= 0, tf.zeros_like(update), update)

  def update(
      gradients: nests.Nest, state: ScaleByRssState, parameters: nests.Nest
  ) -> tuple[nests.Nest, ScaleByRssState]:
    totals = tf.nest.map_structure(
        lambda gradient, total: tf.square(gradient) + total,
        gradients,
        state.sum_of_squares,
    )
    updates = tf.nest.map_structure(divide, gradients, totals)
    return updates, ScaleByRssState(totals)

  return transformation.create(init, update)


def adagrad(
    learning_rate: transformation.ScalarOrSchedule,
    initial_accumulator_value: float = 0.1,
    eps: float = 1e-7,
) -> transformation.GradientTransformation:
  """Adagrad: `scale_by_rss` and a learning rate.

  Args:
    learning_rate: A non-negative number, or a schedule.
    initial_accumulator_value: The sum of squares before the first step.
    eps: Keeps the divisor from 0.

  Returns:
    A transformation; its state holds one tensor per parameter.

  Raises:
    ValueError: If a number is negative.

  Reference:
    `Adaptive subgradient methods
    <https://jmlr.org/papers/v12/duchi11a.html>`_; ``optax.adagrad``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.adagrad(0.5, initial_accumulator_value=16.0)
    >>> w = {'w': tf.constant(3.0)}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> round(float(updates['w']), 4)
    -0.3
  """
  return transformation.chain(
      scale_by_rss(initial_accumulator_value, eps),
      transformation.scale_by_learning_rate(learning_rate),
  )
