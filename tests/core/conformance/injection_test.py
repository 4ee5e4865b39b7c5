"""Every optimizer with its numbers in the state is the one without.

Whatever floats its factory takes are injected: eagerly, in a graph and under
XLA, and after they were set to others.
"""

from __future__ import annotations

import functools
import inspect

import jax
import numpy as np
import optax
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers
from tests.core.conformance import table_optimizers
from tests.core.optimizers import comparison

_PATHS = ('linear/w', 'scale')


class _Changed:
  """The package of optimizers, with something made of each factory."""

  def __init__(self, change):
    self._change = change

  def __getattr__(self, name):
    value = getattr(optimizers, name)
    if not inspect.isfunction(value):
      return value
    returned = str(inspect.signature(value).return_annotation)
    is_factory = returned.endswith('GradientTransformation')
    return self._change(value) if is_factory else value


def _halved(factory):
  """Makes a factory that takes half of each number that is a float."""
  signature = inspect.signature(factory)

  @functools.wraps(factory)
  def make(*args, **kwargs):
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    for name, value in bound.arguments.items():
      if type(value) is float:
        bound.arguments[name] = value / 2
    return factory(*bound.args, **bound.kwargs)

  return make


PLAIN = table_optimizers.MEMBERS
INJECTED = table_optimizers.members(_Changed(optimizers.inject_hyperparams))
HALVED = table_optimizers.members(_Changed(_halved))


_NUM_STEPS = 4


def _weights():
  start = comparison.parameters()
  return {path: tf.constant(start[path]) for path in _PATHS}


def _gradients():
  return [
      {path: tf.constant(step[path]) for path in _PATHS}
      for step in comparison.gradients(_NUM_STEPS)
  ]


def _halve(state):
  return comparison.set_injected(state, lambda number: number / 2)


@functools.cache
def _expected(name):
  """Returns the plain one's updates; for the last its numbers are halved."""
  weights, results = _weights(), []
  optimizer, state = PLAIN[name], PLAIN[name].init(weights)
  for index, step in enumerate(_gradients()):
    if index == _NUM_STEPS - 1:
      optimizer, state = HALVED[name], _halve(state)
    updates, state = optimizer.update(step, state, weights)
    results.append({path: update.numpy() for path, update in updates.items()})
  return results


def _assert_close(actual, expected, name):
  largest = max(np.abs(expected).max(), 1e-9)
  np.testing.assert_allclose(
      actual, expected, rtol=0, atol=2e-6 * largest, err_msg=name
  )


class EveryOptimizerTest(parameterized.TestCase):

  @parameterized.named_parameters(*table_optimizers.named())
  def test_eagerly(self, name):
    self._assert_is_plain(
        [name],
        self._update_all,
        lambda one, other, path: np.testing.assert_array_max_ulp(one, other, 1),
    )

  def test_in_a_graph(self):
    self._assert_graph_is_plain(PLAIN, None)

  def test_in_xla(self):
    self._assert_graph_is_plain(('adamw', 'muon', 'rmsprop__centered'), True)

  @pytest.mark.slow
  def test_every_one_in_xla(self):
    self._assert_graph_is_plain(PLAIN, True)

  def _assert_graph_is_plain(self, names, jit_compile):
    """All in one graph, which is not traced anew for what is set."""
    update = tf.function(
        self._update_all, autograph=False, jit_compile=jit_compile
    )
    self._assert_is_plain(names, update, _assert_close)
    self.assertEqual(update.experimental_get_tracing_count(), 1)

  def _update_all(self, gradients, states, weights):
    return {
        name: INJECTED[name].update(gradients, state, weights)
        for name, state in states.items()
    }

  def _assert_is_plain(self, names, update_all, assert_same):
    weights = _weights()
    states = {name: INJECTED[name].init(weights) for name in names}
    for index, step in enumerate(_gradients()):
      if index == _NUM_STEPS - 1:
        states = {name: _halve(state) for name, state in states.items()}
      results = update_all(step, states, weights)
      states = {name: state for name, (_, state) in results.items()}
      for name, (updates, state) in results.items():
        for path, expected in _expected(name)[index].items():
          assert_same(updates[path].numpy(), expected, f'{name}: {path}')
        for number in comparison.injected(state):
          self.assertEqual((number.dtype, number.shape), (tf.float32, []))

  @parameterized.parameters(
      ('adam', (0.1,), {}),
      ('adamw', (0.1, 0.8), {'weight_decay': 0.1}),
      ('rmsprop', (0.1,), {'momentum': 0.9}),
      ('sgd', (0.1, 0.9), {'nesterov': True}),
  )
  def test_is_optax_s(self, name, args, kwargs):
    ours = optimizers.inject_hyperparams(getattr(optimizers, name))
    theirs = optax.inject_hyperparams(getattr(optax, name))
    ours, theirs = ours(*args, **kwargs), theirs(*args, **kwargs)
    start, steps = comparison.parameters(), comparison.gradients(20)
    weights = {path: tf.constant(start[path]) for path in start}
    state, their_state = ours.init(weights), theirs.init(start)
    self.assertEqual(state.hyperparams.keys(), their_state.hyperparams.keys())
    update = tf.function(ours.update, autograph=False)
    their_update = jax.jit(theirs.update)
    for index, step in enumerate(steps):
      if index == 10:
        state.hyperparams['learning_rate'] = tf.constant(0.01)
        their_state.hyperparams['learning_rate'] = jax.numpy.float32(0.01)
      expected, their_state = their_update(step, their_state, start)
      updates, state = update(step, state, weights)
      for path, value in expected.items():
        np.testing.assert_allclose(  # It rounds rates.
            updates[path], value, rtol=2e-5, atol=2e-6, err_msg=path
        )
    self.assertEqual(int(state.count), int(their_state.count))
    for number, value in their_state.hyperparams.items():
      np.testing.assert_array_equal(state.hyperparams[number], value)


if __name__ == '__main__':
  absltest.main()
