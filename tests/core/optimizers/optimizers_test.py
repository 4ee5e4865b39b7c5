"""Every optimizer against Optax, and what must hold for each of them.

Covers: decay, moments, nests, signs, states.
"""

from __future__ import annotations

import numpy as np
import optax
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized
from optax import contrib

from core import optimizers, schedules
from tests.core.conformance import table_optimizers
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


_SGD = optax.sgd(0.1)
_ADAM = optax.adam(0.1)
CYCLE = optax.warmup_cosine_decay_schedule(**table_optimizers.CYCLE)
# Optax's for each line of the table, by its name there.
OPTAX = {
    'adafactor': optax.adafactor(
        0.1,
        3,
        momentum=0.9,
        weight_decay_rate=0.01,
        weight_decay_mask=_is_weight,
    ),
    'adafactor__not_factored': optax.adafactor(),
    'adagrad': optax.adagrad(0.1),
    'adagrad__from_zero': optax.adagrad(0.1, 0.0, 0.0),
    'adam': optax.adam(0.1),
    'adam__arguments': optax.adam(0.1, 0.8, 0.95, 1e-3, 1e-4, nesterov=True),
    'adam__schedule': optax.adam(CYCLE),
    'adamw': optax.adamw(0.1, weight_decay=0.1, mask=_is_weight),
    'adamw__schedule': optax.adamw(
        0.1, weight_decay=optax.linear_schedule(0.5, 0.125, 48), mask=_is_weight
    ),
    'adaptive_grad_clip': optax.chain(optax.adaptive_grad_clip(0.3), _SGD),
    'adaptive_grad_clip__axis': optax.chain(
        optax.masked(optax.adaptive_grad_clip(0.3, axis=1), _is_weight), _SGD
    ),
    'add_decayed_weights': optax.chain(
        optax.add_decayed_weights(0.1, _is_weight), _SGD
    ),
    'apply_if_finite': optax.apply_if_finite(_ADAM, 3),
    'centralize': optax.chain(optax.centralize(), optax.sgd(0.1, 0.9)),
    'chain': optax.chain(optax.scale(2.0), optax.scale(-0.1)),
    'clip': optax.chain(optax.clip(0.5), _SGD),
    'clip_by_block_rms': optax.chain(optax.clip_by_block_rms(0.5), _SGD),
    'clip_by_global_norm': optax.chain(optax.clip_by_global_norm(3.0), _ADAM),
    'ema': optax.chain(optax.ema(0.9), _SGD),
    'identity': optax.chain(optax.identity(), _SGD),
    'inject_hyperparams': optax.inject_hyperparams(optax.adam)(0.1),
    'inject_hyperparams__schedule': optax.inject_hyperparams(
        optax.adamw, static_args='mask'
    )(
        optax.linear_schedule(0.1, 0.2, 9),
        b1=optax.linear_schedule(0.5, 0.9, 5),
        mask=_is_weight,
    ),
    'lamb': optax.lamb(0.1, weight_decay=0.1, mask=_is_weight),
    'lars': optax.lars(0.1, 0.1, _is_weight, 0.01, 1e-3, _is_weight, 0.8, True),
    'lion': optax.lion(0.01, weight_decay=0.1, mask=_is_weight),
    'masked': optax.chain(optax.masked(optax.trace(0.9), _is_weight), _SGD),
    'multi_steps': optax.MultiSteps(_ADAM, 4).gradient_transformation(),
    'multi_steps__sum_of_a_schedule': (
        optax.MultiSteps(
            _ADAM, lambda n: 1 + n // 3, False
        ).gradient_transformation()
    ),
    'muon': contrib.muon(
        0.1,
        weight_decay=0.1,
        adam_weight_decay=0.2,
        muon_weight_dimension_numbers=_matrices,
    ),
    'muon__arguments': contrib.muon(
        0.1,
        ns_steps=3,
        beta=0.8,
        nesterov=False,
        adaptive=True,
        adam_learning_rate=0.01,
        consistent_rms=0.2,
    ),
    'nadam': optax.nadam(0.1),
    'partition': optax.partition(
        {True: _ADAM, False: optax.sgd(0.01, 0.9)}, _is_weight
    ),
    'rmsprop': optax.rmsprop(0.1),
    'rmsprop__centered': optax.rmsprop(
        0.1, eps=0.01, centered=True, bias_correction=True
    ),
    'rmsprop__momentum': optax.rmsprop(
        0.1, 0.8, 1e-3, 0.5, False, momentum=0.9, nesterov=True
    ),
    'scale': optax.scale(-0.1),
    'scale_by_adam': optax.chain(optax.scale_by_adam(), _SGD),
    'scale_by_factored_rms': optax.chain(
        optax.scale_by_factored_rms(min_dim_size_to_factor=3), _SGD
    ),
    'scale_by_learning_rate': optax.scale_by_learning_rate(0.1),
    'scale_by_lion': optax.chain(optax.scale_by_lion(), _SGD),
    'scale_by_param_block_rms': optax.chain(
        optax.scale_by_param_block_rms(), _SGD
    ),
    'scale_by_rms': optax.chain(optax.scale_by_rms(), _SGD),
    'scale_by_rss': optax.chain(optax.scale_by_rss(), _SGD),
    'scale_by_schedule': optax.scale_by_schedule(
        optax.linear_schedule(-0.5, -0.1, 5)
    ),
    'scale_by_trust_ratio': optax.chain(optax.scale_by_trust_ratio(), _SGD),
    'set_to_zero': optax.partition(
        {True: optax.set_to_zero(), False: _SGD},
        lambda parameters: {name: name == 'scale' for name in parameters},
    ),
    'sgd': optax.sgd(0.1),
    'sgd__momentum': optax.sgd(0.1, 0.9),
    'sgd__nesterov': optax.sgd(0.1, 0.9, True),
    'trace': optax.chain(optax.trace(0.9), _SGD),
}
# Other test files cover what Optax has in another form or not at all.
NOT_OF_OPTAX = (
    'clip_by_norm',
    'constrain',
    'create',
    'lookahead',
    'max_norm',
    'non_negative',
    'scale_by_muon',
    'stateless',
    'unit_norm',
)
OURS = table_optimizers.MEMBERS
# Where Optax, or where we, compute a scalar in float32 whatever the parameters.
FLOAT32_SCALARS = (
    'adafactor',
    'adafactor__not_factored',
    'adam__schedule',
    'adamw__schedule',
    'inject_hyperparams',
    'inject_hyperparams__schedule',
    'multi_steps',
    'multi_steps__sum_of_a_schedule',
    'scale_by_factored_rms',
    'scale_by_schedule',
)


class OptimizersTest(parameterized.TestCase):

  def test_the_table_has_a_reference_for_each_line(self):
    self.assertEqual({*OPTAX, *NOT_OF_OPTAX}, OURS.keys())

  @parameterized.parameters(*OPTAX)
  @pytest.mark.medium
  def test_parameters_are_optax_s_for_50_steps(self, name):
    start, steps = comparison.parameters(), comparison.gradients()
    _, actual = comparison.run(OURS[name], start, steps)
    _, expected = comparison.run_optax(OPTAX[name], start, steps)
    # Optax takes rates that it injects for what float32 makes of them.
    rtol = 1e-4 if name.startswith('inject_hyperparams') else 1e-6
    comparison.assert_same(actual, expected, rtol)

  @parameterized.parameters(*OPTAX)
  def test_updates_are_optax_s_in_float64(self, name):
    start = comparison.parameters('float64')
    steps = comparison.gradients(12, 'float64')
    actual, _ = comparison.run(OURS[name], start, steps)
    expected, _ = comparison.run_optax(OPTAX[name], start, steps)
    rtol = 1e-6 if name in FLOAT32_SCALARS else 1e-9
    comparison.assert_same(actual, expected, rtol)

  @parameterized.parameters(*OURS)
  def test_sparse_gradients_are_dense_ones(self, name):
    weights = {'linear/w': tf.Variable(comparison.parameters()['linear/w'])}
    values = tf.constant([[1.0, 2.0, 3.0], [0.5, 0.0, -4.0], [1.0, 1.0, 1.0]])
    sparse = {'linear/w': tf.IndexedSlices(values, tf.constant([3, 1, 3]))}
    dense = {'linear/w': tf.scatter_nd([[3], [1], [3]], values, [5, 3])}
    results = []
    for gradients in (sparse, dense):
      state = OURS[name].init(weights)
      for _ in range(2):
        updates, state = OURS[name].update(gradients, state, weights)
      results.append(updates['linear/w'])
    np.testing.assert_array_equal(*results)

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
