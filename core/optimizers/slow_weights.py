"""Lookahead: weights that follow a fast optimizer slowly."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from .. import checks
from . import (
    finiteness,
    foreign,
    injection,
    moments,
    nests,
    transformation,
)


class LookaheadState(NamedTuple):
  """The fast optimizer's state, steps since the last sync, slow weights."""

  fast_state: nests.Nest
  steps_since_sync: tf.Tensor
  slow: nests.Nest


def lookahead(
    fast_optimizer: transformation.GradientTransformation,
    sync_period: int,
    slow_step_size: float,
    reset_state: bool = False,
) -> transformation.GradientTransformation:
  r"""Every k steps, moves the fast weights back to a point on their path.

  .. math::
    s \leftarrow s + \alpha (w - s), \qquad w \leftarrow s

  The state holds the slow weights; the parameters are the fast ones. The paper
  evaluates the slow weights, which are the parameters after a sync.

  Args:
    fast_optimizer: The optimizer.
    sync_period: The number of steps :math:`k`, at least 1.
    slow_step_size: The fraction :math:`\alpha` of the path, in [0, 1].
    reset_state: Whether each sync resets the optimizer, except for the
      hyper-parameters in its state, see `inject_hyperparams`.

  Returns:
    A transformation; its state holds a count, the state of the optimizer and
    one tensor per parameter.

  Raises:
    TypeError: If `fast_optimizer` is not a transformation.
    ValueError: If `sync_period` is below 1 or `slow_step_size` out of range.

  Reference:
    `Lookahead optimizer <https://arxiv.org/abs/1907.08610>`_, algorithm 1;
    ``optax.lookahead``, which makes the slow weights parameters too.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.lookahead(optimizers.sgd(1.0), 2, 0.5)
    >>> w, gradients = {'w': tf.constant(0.0)}, {'w': tf.constant(-1.0)}
    >>> state = optimizer.init(w)
    >>> for _ in range(2):
    ...   updates, state = optimizer.update(gradients, state, w)
    ...   w = optimizers.apply_updates(w, updates)
    ...   float(w['w'])
    1.0
    1.0
  """
  foreign.check_transformation('fast_optimizer', fast_optimizer)
  checks.in_range('sync_period', sync_period, 1, math.inf)
  checks.in_range('slow_step_size', slow_step_size, 0, 1)
  slow_step_size = moments.exact(slow_step_size)

  def init(parameters: nests.Nest) -> LookaheadState:
    return LookaheadState(
        fast_state=fast_optimizer.init(parameters),
        steps_since_sync=transformation.zero_count(),
        slow=tf.nest.map_structure(tf.identity, parameters),
    )

  def update(
      gradients: nests.Nest, state: LookaheadState, parameters: nests.Nest
  ) -> tuple[nests.Nest, LookaheadState]:
    updates, fast_state = fast_optimizer.update(
        gradients, state.fast_state, parameters
    )
    period = nests.scalar(sync_period, tf.int64)
    is_sync = state.steps_since_sync + 1 >= period
    way = tf.nest.map_structure(
        lambda fast, step, slow: fast + step - slow,
        parameters,
        updates,
        state.slow,
    )
    if reset_state:
      anew = fast_optimizer.init(parameters)
      fast_state = finiteness.where(
          tf.logical_not(is_sync),
          fast_state,
          injection.keep_hyperparams(anew, fast_state),
      )
    updates = tf.nest.map_structure(
        lambda step, distance: tf.where(
            is_sync, step - nests.times(1 - slow_step_size, distance), step
        ),
        updates,
        way,
    )
    slow = tf.nest.map_structure(
        lambda weight, distance: tf.where(
            is_sync, weight + nests.times(slow_step_size, distance), weight
        ),
        state.slow,
        way,
    )
    count = (state.steps_since_sync + 1) % period
    return updates, LookaheadState(fast_state, count, slow)

  return transformation.create(init, update)
