"""Runs a transformation of ours and one of Optax side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
import tensorflow as tf

from core import optimizers
from core.optimizers import injection, nests

SHAPES = {
    'convolution/b': (4,),
    'convolution/w': (3, 3, 2, 4),
    'linear/w': (5, 3),
    'scale': (),
    'wide/w': (3, 6),
}
NUM_STEPS = 50


def parameters(dtype: str = 'float32') -> dict[str, np.ndarray]:
  """Returns a nest of scalars, vectors, matrices and filters, none near 0."""
  random = np.random.default_rng(0)
  return {
      name: np.asarray(
          random.choice([-1, 1], shape) * random.uniform(0.5, 2, shape), dtype
      )
      for name, shape in SHAPES.items()
  }


def gradients(
    num_steps: int = NUM_STEPS, dtype: str = 'float32'
) -> list[dict[str, np.ndarray]]:
  """Returns the gradients of every step: some small, some large."""
  random = np.random.default_rng(1)
  return [
      {
          name: np.asarray(
              random.normal(0.1, 10.0 ** (step % 3 - 1), shape), dtype
          )
          for name, shape in SHAPES.items()
      }
      for step in range(num_steps)
  ]


def run(
    optimizer: optimizers.GradientTransformation,
    start: dict[str, np.ndarray],
    steps: list[dict[str, np.ndarray]],
    **function_arguments,
) -> tuple[list[dict[str, np.ndarray]], list[dict[str, np.ndarray]]]:
  """Returns the updates and the parameters after every step of ours.

  Args:
    optimizer: The transformation.
    start: The parameters before the first step.
    steps: The gradients of every step.
    **function_arguments: Of `tf.function`; eager where there are none.
  """
  update = optimizer.update
  if function_arguments:
    update = tf.function(update, **function_arguments)
  weights = tf.nest.map_structure(tf.constant, start)
  state = optimizer.init(weights)
  all_updates, all_weights = [], []
  for step in steps:
    step = tf.nest.map_structure(tf.constant, step)
    updates, new_state = update(step, state, weights)
    tf.nest.assert_same_structure(state, new_state)
    for old, new in zip(tf.nest.flatten(state), tf.nest.flatten(new_state)):
      assert (old.shape, old.dtype) == (new.shape, new.dtype), (old, new)
    state, weights = new_state, optimizers.apply_updates(weights, updates)
    all_updates.append({name: u.numpy() for name, u in updates.items()})
    all_weights.append({name: w.numpy() for name, w in weights.items()})
  return all_updates, all_weights


def run_optax(
    optimizer: optax.GradientTransformation,
    start: dict[str, np.ndarray],
    steps: list[dict[str, np.ndarray]],
) -> tuple[list[dict[str, np.ndarray]], list[dict[str, np.ndarray]]]:
  """Returns the updates and the parameters after every step of Optax's."""
  with jax.enable_x64(start['scale'].dtype == np.float64):
    weights = jax.tree.map(jax.numpy.asarray, start)
    state = optimizer.init(weights)
    update = jax.jit(optimizer.update)
    all_updates, all_weights = [], []
    for step in steps:
      updates, state = update(step, state, weights)
      weights = optax.apply_updates(weights, updates)
      all_updates.append(jax.tree.map(np.asarray, updates))
      all_weights.append(jax.tree.map(np.asarray, weights))
  return all_updates, all_weights


def assert_same(
    actual: list[dict[str, np.ndarray]],
    expected: list[dict[str, np.ndarray]],
    rtol: float,
) -> None:
  """Compares every element of every tensor of every step.

  The tolerance is relative to the largest element of a tensor, since where
  terms cancel a single element has no relative error to speak of.
  """
  assert len(actual) == len(expected)
  for index, (ours, theirs) in enumerate(zip(actual, expected)):
    for name in theirs:
      np.testing.assert_allclose(
          ours[name],
          theirs[name],
          rtol=0,
          atol=rtol * np.max(np.abs(theirs[name])),
          err_msg=f'step {index}, {name}',
      )


def set_injected(state: Any, change: Callable[[tf.Tensor], Any]) -> Any:
  """Returns a state with every injected hyper-parameter changed."""
  if isinstance(state, injection.InjectHyperparamsState):
    return state._replace(
        hyperparams={n: change(v) for n, v in state.hyperparams.items()},
        inner_state=set_injected(state.inner_state, change),
    )
  if not tf.nest.is_nested(state):
    return state
  parts = [set_injected(part, change) for _, part in nests.children(state)]
  if hasattr(state, '_fields'):
    return type(state)(*parts)
  if isinstance(state, dict):
    return dict(zip(sorted(state), parts, strict=True))
  return type(state)(parts)


def injected(state: Any) -> list[tf.Tensor]:
  """Lists the injected hyper-parameters of a state."""
  found: list[tf.Tensor] = []
  set_injected(state, found.append)
  return found
