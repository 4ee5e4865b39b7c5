"""The update of a train step: everything that it changes or undoes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from . import loss_scaling, optimizers, skipping, train_state, variables
from .optimizers import finiteness, nests

After = Callable[[train_state.TrainState, Any], Mapping[str, tf.Tensor]]
"""From a state and the sums of `Evaluation.statistics` to new values of the
model's non-trainable variables by path."""


def before_forward(state: train_state.TrainState) -> dict[str, tf.Tensor]:
  """Reads the variables that a forward pass may assign, if steps can be undone.

  Args:
    state: The state.

  Returns:
    The values of the model's non-trainable variables by path.
  """
  if state.skipped is None:
    return {}
  return values(variables.untrained(state.model))


def dense(
    gradients: Mapping[str, Any],
    parameters: Mapping[str, tf.Variable],
    *,
    may_be_none: bool = False,
) -> dict[str, tf.Tensor]:
  """Converts sparse gradients to dense ones, and missing ones to zeros.

  Args:
    gradients: The gradients from a tape, by path.
    parameters: The parameters.
    may_be_none: Whether the loss may depend on no parameter at all.

  Returns:
    A tensor like each parameter.

  Raises:
    ValueError: If the loss depends on no parameter.
  """
  if not may_be_none and all(g is None for g in gradients.values()):
    raise ValueError(
        'objective: the loss depends on no parameter of the state, so nothing '
        'would be learned; compute it with the model passed to the objective, '
        'without tf.stop_gradient.'
    )
  return {
      path: (
          tf.zeros_like(parameters[path])
          if gradient is None
          else tf.convert_to_tensor(gradient)
      )
      for path, gradient in gradients.items()
  }


def update(
    state: train_state.TrainState,
    optimizer: optimizers.GradientTransformation,
    gradients: Mapping[str, tf.Tensor],
    weight: tf.Tensor,
    untrained: Mapping[str, tf.Tensor],
    collected: Mapping[str, tf.Tensor],
    statistics: Any = (),
    after: After | None = None,
    is_asserted: bool = False,
) -> tf.Tensor | None:
  """Takes a step in place, unless it must be skipped.

  Args:
    state: The state.
    optimizer: The optimizer with which the state was created.
    gradients: The gradients of the sum of all replicas' losses, by path.
    weight: The sum of all replicas' weights, ``[]``.
    untrained: The result of `before_forward` before the forward pass.
    collected: The values that the forward pass left to assign, by path.
    statistics: The sums of the objective's statistics.
    after: The function that computes new values from the statistics.
    is_asserted: Whether `weight` depends on assertions; assignments wait for
      it.

  Returns:
    Whether the step was skipped, bool ``[]``, or None if steps cannot be.

  Raises:
    ValueError: If `after` returns a path that is not a non-trainable variable,
      or a value of another shape.
    TypeError: If `after` does not return a mapping.
  """
  # Not a division of each gradient, which XLA would compute in a separate pass.
  factor = tf.math.divide_no_nan(tf.ones_like(weight), weight)
  summed = gradients
  gradients = tf.nest.map_structure(
      lambda g: g * tf.cast(factor, g.dtype), gradients
  )
  parameters, optimizer_state = before = values(
      (state.parameters, state.optimizer_state)
  )
  if state.loss_scale is not None:
    gradients = loss_scaling.unscale(gradients, state.loss_scale)
  updates, optimizer_state = optimizer.update(
      gradients, optimizer_state, parameters
  )
  parameters = optimizers.apply_updates(parameters, updates)
  is_skipped = is_undone = is_wrong = None
  if is_asserted:
    # It is never wrong, but makes all assignments wait for the weight. This is
    # a data dependency, since Grappler has failed to keep the order of reads
    # and writes for variables that are read under control inputs.
    is_undone = is_wrong = tf.square(weight) < 0
    optimizer_state = nests.where(is_wrong, before[1], optimizer_state)
  if state.skipped is not None:
    is_skipped, loss_scale = skipping.decide(
        gradients, optimizer_state, state.loss_scale, summed
    )
    is_undone = is_skipped
    assign(state.loss_scale or (), loss_scale)
    assign(state.skipped, skipping.count(state.skipped, is_skipped))
    parameters = nests.where(is_skipped, before[0], parameters)
    optimizer_state = finiteness.undo(is_skipped, optimizer_state, before[1])
    now = variables.untrained(state.model)
    assign(now, nests.where(is_skipped, untrained, now))
  assign(state.parameters, parameters)
  assign(state.optimizer_state, optimizer_state)
  _assign_by_path(state.model, 'collected', collected, is_undone)
  if after is not None:
    followed = after(state, statistics)
    _assign_by_path(state.model, 'after', followed, is_undone)
  if state.average is not None:
    state.average.update(parameters, is_undone)
  state.step.assign_add(
      1 if is_wrong is None else 1 - tf.cast(is_wrong, state.step.dtype)
  )
  return is_skipped


def _assign_by_path(
    model: Any,
    argument: str,
    new_values: Mapping[str, tf.Tensor],
    is_undone: tf.Tensor | None,
) -> None:
  if not isinstance(new_values, Mapping):
    raise TypeError(
        f'{argument}: expected a mapping of paths to values, got a '
        f'{type(new_values).__name__}.'
    )
  if not new_values:
    return
  known = variables.untrained(model)
  converted = {}  # Reads all values before assigning the first.
  for path, value in new_values.items():
    if path not in known:
      raise ValueError(
          f'{argument}: the model has no variable {path!r} that is not '
          f'trained; it has: {", ".join(known) or "none"}.'
      )
    dtype = known[path].dtype
    value = tf.convert_to_tensor(value, dtype_hint=dtype)
    if value.dtype != dtype or value.shape != known[path].shape:
      raise ValueError(
          f'{argument}: {path}: expected {dtype.name} {known[path].shape}, got '
          f'{value.dtype.name} {value.shape}.'
      )
    converted[path] = value
  for path, value in converted.items():
    if is_undone is not None:
      value = tf.where(is_undone, known[path], value)
    known[path].assign(value)


def values(variables: Any) -> Any:
  """Reads a nest of variables.

  Args:
    variables: A nest of variables, tensors or numbers.

  Returns:
    A nest of tensors.
  """
  return tf.nest.map_structure(tf.convert_to_tensor, variables)


def assign(targets: Any, new_values: Any) -> None:
  """Assigns a nest of tensors to a nest of variables.

  Args:
    targets: The variables.
    new_values: The tensors.
  """
  tf.nest.map_structure(
      lambda target, value: target.assign(value), targets, new_values
  )
