"""Gradient transformations and their composition.

A transformation is a pair of pure functions on nests of tensors, as in Optax:

- ``init(parameters) -> state``: a nest of tensors of constant shape and dtype.
- ``update(gradients, state, parameters) -> (updates, state)``: the updates are
  added to the parameters, see `apply_updates`.

Every transformation of this package is made by `create`, the one place where
sparse gradients become dense and half precision becomes float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from .. import checks
from ..schedules import schedule as schedule_lib
from . import foreign, nests, states

ScalarOrSchedule: TypeAlias = float | schedule_lib.Schedule


class GradientTransformation(NamedTuple):
  """A pair of pure functions, see this module.

  Attributes:
    init: Maps parameters to a state.
    update: Maps gradients, state and parameters to updates and a state.
  """

  init: Callable[[nests.Nest], nests.Nest]
  update: Callable[
      [nests.Nest, nests.Nest, nests.Nest], tuple[nests.Nest, nests.Nest]
  ]


class CountState(NamedTuple):
  """The number of updates so far, an int64 scalar."""

  count: tf.Tensor


def create(
    init: Callable[[nests.Nest], nests.Nest],
    update: Callable[
        [nests.Nest, nests.Nest, nests.Nest], tuple[nests.Nest, nests.Nest]
    ],
) -> GradientTransformation:
  """Makes a transformation that accepts any parameters and gradients.

  Args:
    init: Maps tensors, float32 or float64, to a state.
    update: Maps gradients, a state and parameters to updates and a state.

  Returns:
    A transformation for parameters that may be variables and of half precision,
    and gradients that may be `tf.IndexedSlices`, with duplicates. State and
    updates for half-precision parameters are float32; `apply_updates` adds
    before it rounds. Its ``update`` raises ValueError if the state is not one
    that its ``init`` makes for the parameters.

  Example:
    >>> from core import optimizers
    >>> halve = optimizers.create(
    ...     lambda parameters: (),
    ...     lambda gradients, state, parameters: (
    ...         {name: g / 2 for name, g in gradients.items()}, state))
    >>> w = {'w': tf.constant([1.0, 2.0])}
    >>> halve.update(w, halve.init(w), w)[0]['w'].numpy().tolist()
    [0.5, 1.0]
  """
  own = states.Own(init)

  def init_any(parameters: nests.Nest) -> nests.Nest:
    return init(tf.nest.map_structure(nests.widen, parameters))

  def update_any(
      gradients: nests.Nest, state: nests.Nest, parameters: nests.Nest
  ) -> tuple[nests.Nest, nests.Nest]:
    parameters = tf.nest.map_structure(nests.widen, parameters)
    gradients = nests.dense_gradients(gradients, parameters)
    with own.checked(state, parameters):
      return update(gradients, state, parameters)

  return GradientTransformation(init_any, update_any)


def stateless(
    function: Callable[[nests.Nest, nests.Nest], nests.Nest],
) -> GradientTransformation:
  """Makes a stateless transformation.

  Args:
    function: Maps gradients and parameters to updates.

  Returns:
    A transformation whose state is empty.

  Reference:
    ``optax.stateless``.

  Example:
    >>> from core import optimizers
    >>> halve = optimizers.stateless(
    ...     lambda gradients, parameters: {
    ...         name: g / 2 for name, g in gradients.items()})
    >>> w = {'w': tf.constant([1.0, 2.0])}
    >>> halve.update(w, (), w)[0]['w'].numpy().tolist()
    [0.5, 1.0]
  """
  return create(
      lambda parameters: (),
      lambda gradients, state, parameters: (
          function(gradients, parameters),
          state,
      ),
  )


def zero_count() -> tf.Tensor:
  """Returns the count of a new state."""
  return tf.zeros([], tf.int64)


def identity() -> GradientTransformation:
  """Returns the gradients unchanged.

  Returns:
    A stateless transformation.

  Reference:
    ``optax.identity``.

  Example:
    >>> from core import optimizers
    >>> w = {'w': tf.constant([1.0, 2.0])}
    >>> optimizers.identity().update(w, (), w)[0]['w'].numpy().tolist()
    [1.0, 2.0]
  """
  return stateless(lambda gradients, parameters: gradients)


def chain(*transformations: GradientTransformation) -> GradientTransformation:
  """Applies transformations one after another.

  Args:
    *transformations: Each transforms the updates of the previous one.

  Returns:
    A transformation; its state is the tuple of their states.

  Raises:
    TypeError: If one is not a transformation, such as a Keras optimizer.

  Reference:
    ``optax.chain``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.chain(
    ...     optimizers.clip_by_global_norm(1.0), optimizers.sgd(0.5))
    >>> w = {'w': tf.constant([3.0, 4.0])}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> [round(float(u), 4) for u in updates['w']]
    [-0.3, -0.4]
  """
  for index, each in enumerate(transformations):
    foreign.check_transformation(f'transformations[{index}]', each)

  def init(parameters: nests.Nest) -> nests.Nest:
    return tuple(each.init(parameters) for each in transformations)

  def update(
      gradients: nests.Nest, state: nests.Nest, parameters: nests.Nest
  ) -> tuple[nests.Nest, nests.Nest]:
    new_states = []
    for each, each_state in zip(transformations, state, strict=True):
      gradients, each_state = each.update(gradients, each_state, parameters)
      new_states.append(each_state)
    return gradients, tuple(new_states)

  return create(init, update)


def scale(step_size: float) -> GradientTransformation:
  """Multiplies by a constant.

  Args:
    step_size: The factor.

  Returns:
    A stateless transformation.

  Raises:
    ValueError: If `step_size` is a `tf.Variable` or has axes.

  Reference:
    ``optax.scale``.

  Example:
    >>> from core import optimizers
    >>> w = {'w': tf.constant([1.0, 2.0])}
    >>> optimizers.scale(-0.5).update(w, (), w)[0]['w'].numpy().tolist()
    [-0.5, -1.0]
  """
  checks.number('step_size', step_size)
  return stateless(
      lambda gradients, parameters: tf.nest.map_structure(
          lambda gradient: nests.times(step_size, gradient), gradients
      )
  )


def scale_by_schedule(
    step_size_fn: schedule_lib.Schedule,
) -> GradientTransformation:
  """Multiplies by a schedule of the number of updates so far.

  Args:
    step_size_fn: Maps an int64 scalar, 0 at the first update, to the factor.

  Returns:
    A transformation; its state is the count.

  Reference:
    ``optax.scale_by_schedule``.

  Example:
    >>> from core import optimizers, schedules
    >>> double = optimizers.scale_by_schedule(schedules.constant(2.0))
    >>> w = {'w': tf.constant([1.0, 2.0])}
    >>> double.update(w, double.init(w), w)[0]['w'].numpy().tolist()
    [2.0, 4.0]
  """

  def update(
      gradients: nests.Nest, state: CountState, parameters: nests.Nest
  ) -> tuple[nests.Nest, CountState]:
    factor = step_size_fn(state.count)
    updates = tf.nest.map_structure(
        lambda gradient: nests.times(factor, gradient), gradients
    )
    return updates, CountState(state.count + 1)

  return create(lambda parameters: CountState(zero_count()), update)


def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule, *, flip_sign: bool = True
) -> GradientTransformation:
  """Multiplies by the learning rate, and by -1 for descent.

  Args:
    learning_rate: A non-negative number, or a schedule.
    flip_sign: Whether to multiply by -1.

  Returns:
    A transformation; its state holds a count if the rate is a schedule.

  Raises:
    ValueError: If `learning_rate` is a negative number or a `tf.Variable`.

  Reference:
    ``optax.scale_by_learning_rate``.

  Example:
    >>> from core import optimizers
    >>> step = optimizers.scale_by_learning_rate(0.5)
    >>> w = {'w': tf.constant([1.0, 2.0])}
    >>> step.update(w, step.init(w), w)[0]['w'].numpy().tolist()
    [-0.5, -1.0]
  """
  sign = -1 if flip_sign else 1
  if callable(learning_rate):
    schedule = learning_rate
    return scale_by_schedule(lambda step: sign * schedule(step))
  checks.in_range('learning_rate', learning_rate, 0, math.inf)
  return scale(sign * learning_rate)


def global_norm(nest: nests.Nest) -> tf.Tensor:
  """Computes the Euclidean norm of all tensors of a nest together.

  Args:
    nest: A nest of tensors; sparse ones must be dense already.

  Returns:
    A scalar, float32 or float64.

  Reference:
    ``optax.global_norm``.

  Example:
    >>> from core import optimizers
    >>> float(optimizers.global_norm({'w': [3.0], 'b': 4.0}))
    5.0
  """
  squares = [
      tf.reduce_sum(tf.square(nests.widen(tensor)))
      for tensor in tf.nest.flatten(nest)
  ]
  return tf.sqrt(tf.add_n(squares)) if squares else tf.zeros([])


def apply_updates(parameters: nests.Nest, updates: nests.Nest) -> nests.Nest:
  """Adds updates to parameters.

  Args:
    parameters: A nest of tensors or variables; variables are not assigned.
    updates: The updates, as returned by ``update``.

  Returns:
    A nest of tensors with the dtypes of the parameters, rounded once.

  Raises:
    ValueError: If structures or shapes differ.

  Reference:
    ``optax.apply_updates``.

  Example:
    >>> from core import optimizers
    >>> w, updates = {'w': tf.constant(1.0)}, {'w': tf.constant(-0.25)}
    >>> float(optimizers.apply_updates(w, updates)['w'])
    0.75
  """

  def add(parameter: tf.Tensor, update: tf.Tensor) -> tf.Tensor:
    total, step = nests.widen(parameter), nests.widen(update)
    total, step = checks.same_shape(parameters=total, updates=step)
    return tf.cast(total + step, parameter.dtype)

  return tf.nest.map_structure(add, parameters, updates)
