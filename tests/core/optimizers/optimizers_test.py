"""Every optimizer against Optax, and what must hold for each of them.

Covers: decay, moments, nests, signs.
"""

from __future__ import annotations

import numpy as np
import optax
import tensorflow as tf
from absl.testing import absltest, parameterized
from optax import contrib

from core import optimizers, schedules
from tests.core.optimizers import comparison


def _is_weight(parameters):
  return {name: name.endswith('/w') for name in parameters}


def _matrices(parameters):
  numbers = {
      4: contrib.MuonDimensionNumbers((0, 1, 2), 3),
      2: contrib.MuonDimensionNumbers(0, 1),
  }
  return {
      name: numbers.get(getattr(parameter, 'ndim', None))
      for name, parameter in parameters.items()
  }


W = r'.*/w'
CYCLE = {
    'init_value': 0.0,
    'peak_value': 0.1,
    'warmup_steps': 10,
    'decay_steps': 45,
}
# Name, ours, Optax's.
CASES = (
    ('sgd', optimizers.sgd(0.1), optax.sgd(0.1)),
    ('momentum', optimizers.sgd(0.1, 0.9), optax.sgd(0.1, 0.9)),
    ('nesterov', optimizers.sgd(0.1, 0.9, True), optax.sgd(0.1, 0.9, True)),
    ('adam', optimizers.adam(0.1), optax.adam(0.1)),
    (
        'adam_arguments',
        optimizers.adam(0.1, 0.8, 0.95, 1e-3, 1e-4, nesterov=True),
        optax.adam(0.1, 0.8, 0.95, 1e-3, 1e-4, nesterov=True),
    ),
    ('nadam', optimizers.nadam(0.1), optax.nadam(0.1)),
    (
        'adamw',
        optimizers.adamw(0.1, weight_decay=0.1, mask=W),
        optax.adamw(0.1, weight_decay=0.1, mask=_is_weight),
    ),
    (
        'lamb',
        optimizers.lamb(0.1, weight_decay=0.1, mask=W),
        optax.lamb(0.1, weight_decay=0.1, mask=_is_weight),
    ),
    (
        'lars',
        optimizers.lars(0.1, 0.1, W, 0.01, 1e-3, W, 0.8, True),
        optax.lars(0.1, 0.1, _is_weight, 0.01, 1e-3, _is_weight, 0.8, True),
    ),
    (
        'lion',
        optimizers.lion(0.01, weight_decay=0.1, mask=W),
        optax.lion(0.01, weight_decay=0.1, mask=_is_weight),
    ),
    ('adagrad', optimizers.adagrad(0.1), optax.adagrad(0.1)),
    (
        'adagrad_from_zero',
        optimizers.adagrad(0.1, 0.0, 0.0),
        optax.adagrad(0.1, 0.0, 0.0),
    ),
    ('rmsprop', optimizers.rmsprop(0.1), optax.rmsprop(0.1)),
    (
        'rmsprop_momentum',
        optimizers.rmsprop(
            0.1, 0.8, 1e-3, 0.5, False, momentum=0.9, nesterov=True
        ),
        optax.rmsprop(0.1, 0.8, 1e-3, 0.5, False, momentum=0.9, nesterov=True),
    ),
    (
        'rmsprop_centered',
        optimizers.rmsprop(0.1, eps=0.01, centered=True, bias_correction=True),
        optax.rmsprop(0.1, eps=0.01, centered=True, bias_correction=True),
    ),
    (
        'adafactor',
        optimizers.adafactor(
            0.1, 3, momentum=0.9, weight_decay_rate=0.01, weight_decay_mask=W
        ),
        optax.adafactor(
            0.1,
            3,
            momentum=0.9,
            weight_decay_rate=0.01,
            weight_decay_mask=_is_weight,
        ),
    ),
    ('adafactor_not_factored', optimizers.adafactor(), optax.adafactor()),
    (
        'muon',
        optimizers.muon(0.1, weight_decay=0.1, adam_weight_decay=0.2),
        contrib.muon(
            0.1,
            weight_decay=0.1,
            adam_weight_decay=0.2,
            muon_weight_dimension_numbers=_matrices,
        ),
    ),
    (
        'muon_arguments',
        optimizers.muon(
            0.1,
            ns_steps=3,
            beta=0.8,
            nesterov=False,
            adaptive=True,
            adam_learning_rate=0.01,
            consistent_rms=0.2,
            muon_mask=r'(linear|wide)/w',
        ),
        contrib.muon(
            0.1,
            ns_steps=3,
            beta=0.8,
            nesterov=False,
            adaptive=True,
            adam_learning_rate=0.01,
            consistent_rms=0.2,
        ),
    ),
    (
        'clip',
        optimizers.chain(optimizers.clip(0.5), optimizers.sgd(0.1)),
        optax.chain(optax.clip(0.5), optax.sgd(0.1)),
    ),
    (
        'clip_by_global_norm',
        optimizers.chain(
            optimizers.clip_by_global_norm(3.0), optimizers.adam(0.1)
        ),
        optax.chain(optax.clip_by_global_norm(3.0), optax.adam(0.1)),
    ),
    (
        'adaptive_grad_clip',
        optimizers.chain(
            optimizers.adaptive_grad_clip(0.3), optimizers.sgd(0.1)
        ),
        optax.chain(optax.adaptive_grad_clip(0.3), optax.sgd(0.1)),
    ),
    (
        'adaptive_grad_clip_axis',
        optimizers.chain(
            optimizers.partition({
                W: optimizers.adaptive_grad_clip(0.3, axis=1),
                '.*': optimizers.identity(),
            }),
            optimizers.sgd(0.1),
        ),
        optax.chain(
            optax.masked(optax.adaptive_grad_clip(0.3, axis=1), _is_weight),
            optax.sgd(0.1),
        ),
    ),
    (
        'centralize',
        optimizers.chain(optimizers.centralize(), optimizers.sgd(0.1, 0.9)),
        optax.chain(optax.centralize(), optax.sgd(0.1, 0.9)),
    ),
    (
        'ema',
        optimizers.chain(optimizers.ema(0.9), optimizers.sgd(0.1)),
        optax.chain(optax.ema(0.9), optax.sgd(0.1)),
    ),
    (
        'multi_steps',
        optimizers.multi_steps(optimizers.adam(0.1), 4),
        optax.MultiSteps(optax.adam(0.1), 4).gradient_transformation(),
    ),
    (
        'multi_steps_sum_of_a_schedule',
        optimizers.multi_steps(
            optimizers.adam(0.1), lambda n: 1 + n // 3, False
        ),
        optax.MultiSteps(
            optax.adam(0.1), lambda n: 1 + n // 3, False
        ).gradient_transformation(),
    ),
    (
        'apply_if_finite',
        optimizers.apply_if_finite(optimizers.adam(0.1), 3),
        optax.apply_if_finite(optax.adam(0.1), 3),
    ),
    (
        'partition',
        optimizers.partition(
            {W: optimizers.adam(0.1), '.*': optimizers.sgd(0.01, 0.9)}
        ),
        optax.partition(
            {True: optax.adam(0.1), False: optax.sgd(0.01, 0.9)}, _is_weight
        ),
    ),
    (
        'weight_decay_schedule',
        optimizers.adamw(
            0.1, weight_decay=schedules.linear(0.5, 0.125, 48), mask=W
        ),
        optax.adamw(
            0.1,
            weight_decay=optax.linear_schedule(0.5, 0.125, 48),
            mask=_is_weight,
        ),
    ),
    (
        'learning_rate_schedule',
        optimizers.adam(schedules.warmup_cosine_decay(**CYCLE)),
        optax.adam(optax.warmup_cosine_decay_schedule(**CYCLE)),
    ),
)
# Where Optax, or where we, compute a scalar in float32 whatever the parameters.
FLOAT32_SCALARS = (
    'adafactor',
    'adafactor_not_factored',
    'multi_steps',
    'multi_steps_sum_of_a_schedule',
    'learning_rate_schedule',
    'weight_decay_schedule',
)


class OptimizersTest(parameterized.TestCase):
  @parameterized.named_parameters(*CASES)
  def test_parameters_are_optax_s_for_50_steps(self, ours, theirs):
    start, steps = comparison.parameters(), comparison.gradients()
    _, actual = comparison.run(ours, start, steps)
    _, expected = comparison.run_optax(theirs, start, steps)
    comparison.assert_same(actual, expected, rtol=1e-6)

  @parameterized.named_parameters((case[0], *case) for case in CASES)
  def test_updates_are_optax_s_in_float64(self, name, ours, theirs):
    start = comparison.parameters('float64')
    steps = comparison.gradients(12, 'float64')
    actual, _ = comparison.run(ours, start, steps)
    expected, _ = comparison.run_optax(theirs, start, steps)
    rtol = 1e-6 if name in FLOAT32_SCALARS else 1e-9
    comparison.assert_same(actual, expected, rtol)

  @parameterized.named_parameters(case[:2] for case in CASES)
  def test_eager_is_graph_is_xla(self, ours):
    start, steps = comparison.parameters(), comparison.gradients(6)
    _, expected = comparison.run(ours, start, steps)
    for jit_compile in (False, True):
      _, actual = comparison.run(ours, start, steps, jit_compile=jit_compile)
      comparison.assert_same(actual, expected, rtol=1e-5)

  @parameterized.named_parameters(case[:2] for case in CASES)
  def test_sparse_gradients_are_dense_ones(self, ours):
    weights = {'linear/w': tf.Variable(comparison.parameters()['linear/w'])}
    values = tf.constant([[1.0, 2.0, 3.0], [0.5, 0.0, -4.0], [1.0, 1.0, 1.0]])
    sparse = {'linear/w': tf.IndexedSlices(values, tf.constant([3, 1, 3]))}
    dense = {
        'linear/w': tf.scatter_nd([[3], [1], [3]], values, [5, 3])
    }
    results = []
    for gradients in (sparse, dense):
      state = ours.init(weights)
      for _ in range(2):
        updates, state = ours.update(gradients, state, weights)
      results.append(updates['linear/w'])
    np.testing.assert_array_equal(*results)

  @parameterized.named_parameters(case[:2] for case in CASES)
  def test_half_precision_is_float32_rounded_at_the_end(self, ours):
    def half(nest):
      return {k: tf.cast(v, tf.bfloat16) for k, v in nest.items()}

    weights = half(comparison.parameters())
    wide = {k: tf.cast(v, tf.float32) for k, v in weights.items()}
    state, wide_state = ours.init(weights), ours.init(wide)
    for gradients in map(half, comparison.gradients(2)):
      updates, state = ours.update(gradients, state, weights)
      wide_updates, wide_state = ours.update(gradients, wide_state, wide)
    new = optimizers.apply_updates(weights, updates)
    expected = half(optimizers.apply_updates(wide, wide_updates))
    for name, weight in new.items():
      self.assertEqual(weight.dtype, tf.bfloat16)
      np.testing.assert_array_equal(
          tf.cast(weight, tf.float32), tf.cast(expected[name], tf.float32)
      )
    for tensor in tf.nest.flatten(state):
      self.assertIn(tensor.dtype, (tf.float32, tf.int64, tf.bool))

  @parameterized.named_parameters(
      ('sgd', optimizers.sgd(0.05)),
      ('momentum', optimizers.sgd(0.02, 0.9)),
      ('nesterov', optimizers.sgd(0.02, 0.9, True)),
      ('adam', optimizers.adam(schedules.cosine_decay(0.1, 200))),
      ('adamw', optimizers.adamw(schedules.cosine_decay(0.1, 200))),
      ('nadam', optimizers.nadam(schedules.cosine_decay(0.1, 200))),
      ('lamb', optimizers.lamb(schedules.cosine_decay(0.1, 200))),
      ('lars', optimizers.lars(schedules.cosine_decay(10.0, 200))),
      ('lion', optimizers.lion(schedules.cosine_decay(0.1, 200))),
      ('rmsprop', optimizers.rmsprop(schedules.cosine_decay(0.1, 200))),
      ('adagrad', optimizers.adagrad(0.5)),
      ('adafactor', optimizers.adafactor(schedules.cosine_decay(0.1, 200))),
      ('muon', optimizers.muon(schedules.cosine_decay(0.3, 200))),
  )
  def test_finds_the_least_of_a_quadratic(self, optimizer):
    target = tf.constant([[1.0, -2.0], [0.5, 1.5]])
    curvature = tf.constant([[1.0, 4.0], [2.0, 9.0]])
    weights = {'w': tf.Variable(2 * tf.ones([2, 2]))}
    state = tf.nest.map_structure(tf.Variable, optimizer.init(weights))

    @tf.function
    def train():
      for _ in tf.range(200):
        gradients = {'w': curvature * (weights['w'] - target)}
        updates, new_state = optimizer.update(
            gradients, tf.nest.map_structure(tf.identity, state), weights
        )
        weights['w'].assign(optimizers.apply_updates(weights, updates)['w'])
        for old, new in zip(tf.nest.flatten(state), tf.nest.flatten(new_state)):
          old.assign(new)

    train()
    np.testing.assert_allclose(weights['w'], target, atol=0.02)


if __name__ == '__main__':
  absltest.main()
