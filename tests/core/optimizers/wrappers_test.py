"""Accumulation, skipping of steps, slow weights.

Covers: accumulation, finiteness, slow_weights.
"""

from __future__ import annotations

import jax
import numpy as np
import optax
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers
from tests.core.optimizers import comparison


def _numpy(nest):
  return tf.nest.map_structure(lambda tensor: tensor.numpy(), nest)


class WrappersTest(parameterized.TestCase):

  def test_k_steps_are_one_with_the_mean(self):
    start, steps = comparison.parameters(), comparison.gradients(12)
    inner = optimizers.chain(
        optimizers.clip_by_global_norm(1.0), optimizers.adam(0.1)
    )
    means = [
        {name: np.mean([s[name] for s in steps[i:][:4]], 0) for name in start}
        for i in (0, 4, 8)
    ]
    _, expected = comparison.run(inner, start, means)
    updates, actual = comparison.run(
        optimizers.multi_steps(inner, 4), start, steps
    )
    comparison.assert_same(actual[3::4], expected, rtol=1e-6)
    for index, update in enumerate(updates):
      is_zero = all(not np.any(tensor) for tensor in update.values())
      self.assertEqual(is_zero, index % 4 != 3)

  def test_steps_in_between_leave_the_optimizer_alone(self):
    optimizer = optimizers.multi_steps(optimizers.adam(0.1), 3)
    weights = {'w': tf.constant(1.0)}
    state = start = optimizer.init(weights)
    for mini_step, gradient_step in ((1, 0), (2, 0), (0, 1), (1, 1)):
      _, state = optimizer.update(weights, state, weights)
      self.assertEqual(int(state.mini_step), mini_step)
      self.assertEqual(int(state.gradient_step), gradient_step)
      self.assertEqual(int(state.inner_opt_state[0].count), gradient_step)
      if not gradient_step:
        self.assertEqual(
            _numpy(state.inner_opt_state), _numpy(start.inner_opt_state)
        )

  @parameterized.named_parameters(('eager', {}), ('xla', {'jit_compile': True}))
  def test_steps_that_are_not_finite_are_skipped_as_optax_does(self, function):
    start, steps = comparison.parameters(), comparison.gradients(14)
    for index, bad in ((2, np.nan), (5, np.inf), (6, -np.inf), (7, np.nan)):
      steps[index]['linear/w'][3, 1] = bad
    ours = optimizers.apply_if_finite(optimizers.adam(0.1), 3)
    theirs = optax.apply_if_finite(optax.adam(0.1), 3)
    _, actual = comparison.run(ours, start, steps, **function)
    _, expected = comparison.run_optax(theirs, start, steps)
    comparison.assert_same(actual, expected, rtol=1e-6)
    for name in start:
      np.testing.assert_array_equal(actual[1][name], actual[2][name])
      np.testing.assert_array_equal(actual[4][name], actual[7][name])

  def test_too_many_errors_in_a_row_are_not_hidden(self):
    optimizer = optimizers.apply_if_finite(optimizers.sgd(1.0), 2)
    weights = {'w': tf.constant(1.0)}
    state, seen = optimizer.init(weights), []
    for value in (np.nan, np.nan, 1.0, np.nan, np.inf, np.nan):
      updates, state = optimizer.update(
          {'w': tf.constant(value, tf.float32)}, state, weights
      )
      seen.append((
          float(updates['w']),
          int(state.notfinite_count),
          bool(state.last_finite),
          int(state.total_notfinite),
      ))
    self.assertEqual(
        seen[:-1],
        [
            (0.0, 1, False, 1),
            (0.0, 2, False, 2),
            (-1.0, 0, True, 2),
            (0.0, 1, False, 3),
            (0.0, 2, False, 4),
        ],
    )
    self.assertTrue(np.isnan(seen[-1][0]))
    self.assertEqual(seen[-1][1:], (3, False, 5))

  @parameterized.parameters(False, True)
  def test_lookahead_is_optax_s(self, reset_state):
    start, steps = comparison.parameters(), comparison.gradients()
    arguments = {
        'sync_period': 4,
        'slow_step_size': 0.3,
        'reset_state': reset_state,
    }
    ours = optimizers.lookahead(optimizers.adam(0.1), **arguments)
    _, actual = comparison.run(ours, start, steps, jit_compile=True)
    theirs = optax.lookahead(optax.adam(0.1), **arguments)
    weights = optax.LookaheadParams.init_synced(
        jax.tree.map(jax.numpy.asarray, start)
    )
    state, expected = theirs.init(weights), []
    for step in steps:
      updates, state = theirs.update(step, state, weights)
      weights = optax.apply_updates(weights, updates)
      expected.append(jax.tree.map(np.asarray, weights.fast))
    comparison.assert_same(actual, expected, rtol=1e-5)


if __name__ == '__main__':
  absltest.main()
