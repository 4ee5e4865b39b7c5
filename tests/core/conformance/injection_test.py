"""Every optimizer with its numbers in the state is the one without.

Whatever floats its factory takes are injected: eagerly, in a graph and under
XLA, and after they were set to others.
"""

from __future__ import annotations

import functools
import inspect

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


def _weights():
  start = comparison.parameters()
  return {path: tf.constant(start[path]) for path in _PATHS}


def _gradients(num_steps):
  return [
      {path: tf.constant(step[path]) for path in _PATHS}
      for step in comparison.gradients(num_steps)
  ]


def _assert_same(actual, expected, max_ulp):
  tf.nest.map_structure(
      lambda one, other: np.testing.assert_array_max_ulp(
          one.numpy(), other.numpy(), max_ulp
      ),
      actual,
      expected,
  )


def _halve(state):
  return comparison.set_injected(state, lambda number: number / 2)


class EveryOptimizerTest(parameterized.TestCase):

  @parameterized.named_parameters(*table_optimizers.named())
  def test_is_the_plain_one_and_then_the_one_of_what_was_set(self, name):
    plain, injected = PLAIN[name], INJECTED[name]
    weights = _weights()
    plain_state, state = plain.init(weights), injected.init(weights)
    for step in _gradients(3):
      expected, plain_state = plain.update(step, plain_state, weights)
      updates, state = injected.update(step, state, weights)
      _assert_same(updates, expected, 1)
      weights = optimizers.apply_updates(weights, expected)
    for number in comparison.injected(state):
      self.assertEqual((number.dtype, number.shape), (tf.float32, []))
    [step] = _gradients(1)
    expected, _ = HALVED[name].update(step, _halve(plain_state), weights)
    updates, _ = injected.update(step, _halve(state), weights)
    _assert_same(updates, expected, 1)

  def test_in_a_graph(self):
    self._assert_all_are_plain(None)

  @pytest.mark.slow
  def test_in_xla(self):
    self._assert_all_are_plain(True)

  def _assert_all_are_plain(self, jit_compile):
    """All in one graph: numbers that are set are not traced anew."""

    @tf.function(autograph=False, jit_compile=jit_compile)
    def update(gradients, states, weights):
      return {
          name: (
              PLAIN[name].update(gradients, states[name][0], weights),
              INJECTED[name].update(gradients, states[name][1], weights),
          )
          for name in PLAIN
      }

    weights = _weights()
    states = {
        name: (PLAIN[name].init(weights), INJECTED[name].init(weights))
        for name in PLAIN
    }
    for step in _gradients(3):
      results = update(step, states, weights)
      states = {
          name: (plain[1], injected[1])
          for name, (plain, injected) in results.items()
      }
      for name, (plain, injected) in results.items():
        for path, expected in plain[0].items():
          np.testing.assert_allclose(
              injected[0][path], expected, rtol=1e-6, atol=1e-12, err_msg=name
          )
    [step] = _gradients(1)
    results = update(
        step, {n: (p, _halve(i)) for n, (p, i) in states.items()}, weights
    )
    for name in ('adam', 'lion', 'muon', 'rmsprop', 'sgd__momentum'):
      halved, _ = HALVED[name].update(step, states[name][0], weights)
      for path, expected in halved.items():
        np.testing.assert_allclose(
            results[name][1][0][path], expected, rtol=2e-6, err_msg=name
        )
    self.assertEqual(update.experimental_get_tracing_count(), 1)

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
    state, their_state = ours.init(start), theirs.init(start)
    self.assertEqual(state.hyperparams.keys(), their_state.hyperparams.keys())
    weights = {path: tf.constant(value) for path, value in start.items()}
    for index, step in enumerate(steps):
      if index == 10:
        state.hyperparams['learning_rate'] = tf.constant(0.01)
        their_state.hyperparams['learning_rate'] = np.float32(0.01)
      expected, their_state = theirs.update(
          step, their_state, {n: w.numpy() for n, w in weights.items()}
      )
      updates, state = ours.update(step, state, weights)
      for path, value in expected.items():
        np.testing.assert_allclose(
            updates[path], value, rtol=1e-4, atol=1e-7, err_msg=path
        )
      weights = optimizers.apply_updates(weights, updates)
    self.assertEqual(int(state.count), int(their_state.count))
    for number, value in their_state.hyperparams.items():
      np.testing.assert_array_equal(state.hyperparams[number], value)


if __name__ == '__main__':
  absltest.main()
