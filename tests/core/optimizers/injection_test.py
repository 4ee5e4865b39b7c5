"""Hyper-parameters in the state: as if they were Python's, and can be set."""

from __future__ import annotations

import functools
import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    checkpoints,
    metrics,
    objectives,
    optimizers,
    schedules,
    training,
    variables,
)
from core.optimizers import moments
from tests.core.optimizers import comparison

_W = {'w': tf.constant([1.0, -2.0])}


class ArgumentsTest(parameterized.TestCase):

  def _names(self, optimizer):
    return set(optimizer.init(_W).hyperparams)

  def test_what_is_injected(self):
    inject = optimizers.inject_hyperparams
    sgd = optimizers.sgd(0.1)
    for optimizer, expected in (
        (inject(optimizers.sgd)(1), {'learning_rate'}),
        (
            inject(optimizers.sgd)(0.1, np.float32(0.9), True),
            {'learning_rate', 'momentum'},
        ),
        (
            inject(optimizers.adamw)(0.1, mask=lambda path, tensor: True),
            {'learning_rate', 'b1', 'b2', 'eps', 'eps_root', 'weight_decay'},
        ),
        (
            inject(optimizers.adaptive_grad_clip)(0.1, axis=0),
            {'clipping', 'eps'},
        ),
        (inject(optimizers.lookahead)(sgd, 2, 0.5), {'slow_step_size'}),
        (inject(optimizers.multi_steps)(sgd, 2), set()),
        (inject(optimizers.chain)(sgd, sgd), set()),
        (
            inject(optimizers.adam, ['b1', 'eps'])(0.1),
            {'learning_rate', 'b2', 'eps_root'},
        ),
        (inject(optimizers.sgd, 'learning_rate')(lambda step: 0.1), set()),
        (
            inject(functools.partial(optimizers.sgd, momentum=0.9))(0.1),
            {'learning_rate', 'momentum'},
        ),
        (
            inject(
                lambda rate, *rest, **others: optimizers.adam(
                    rate, *rest, **others
                )
            )(0.1, 0.8, b2=0.9, nesterov=True),
            {'rate', 'b2'},
        ),
    ):
      with self.subTest(expected=expected):
        self.assertEqual(self._names(optimizer), expected)
        optimizer.update(_W, optimizer.init(_W), _W)

  def test_numbers_of_what_a_user_joined(self):
    @optimizers.inject_hyperparams
    def careful_adam(peak, max_norm=1.0):
      return optimizers.chain(
          optimizers.clip_by_global_norm(max_norm),
          optimizers.adam(schedules.warmup_cosine_decay(0.0, peak, 2, 10)),
      )

    def expected(peak, max_norm):
      return optimizers.chain(
          optimizers.clip_by_global_norm(max_norm),
          optimizers.adam(schedules.warmup_cosine_decay(0.0, peak, 2, 10)),
      )

    optimizer = careful_adam(0.1)
    state, plain_state = optimizer.init(_W), expected(0.1, 1.0).init(_W)
    update = tf.function(optimizer.update, autograph=False)
    for peak, max_norm in ((0.1, 1.0), (0.1, 1.0), (0.02, 0.5), (0.02, 0.5)):
      state = state._replace(
          hyperparams={
              'peak': tf.constant(peak),
              'max_norm': tf.constant(max_norm),
          }
      )
      updates, state = update(_W, state, _W)
      plain, plain_state = expected(peak, max_norm).update(_W, plain_state, _W)
      np.testing.assert_allclose(updates['w'], plain['w'], rtol=1e-6)
    self.assertEqual(update.experimental_get_tracing_count(), 1)

  def test_a_schedule_is_kept_and_goes_on(self):
    rate = schedules.piecewise_constant(1.0, {1: 0.5, 2: 0.5})
    optimizer = optimizers.inject_hyperparams(optimizers.sgd)(rate)
    state = optimizer.init(_W)
    self.assertEqual(float(state.hyperparams['learning_rate']), 1.0)
    for count, expected in enumerate((1.0, 0.5, 0.25)):
      self.assertEqual(int(state.count), count)
      state.hyperparams['learning_rate'] = tf.constant(7.0)  # Has no effect.
      updates, state = optimizer.update(_W, state, _W)
      self.assertEqual(float(state.hyperparams['learning_rate']), expected)
      self.assertEqual(float(updates['w'][0]), -expected)

  def test_bad_numbers_are_refused_when_it_is_made(self):
    inject = optimizers.inject_hyperparams
    for make, error, message in (
        (lambda: inject(optimizers.adam)(-0.1), ValueError, 'learning_rate: '),
        (
            lambda: inject(optimizers.adam)(tf.constant(-0.1)),
            ValueError,
            'learning_rate: ',
        ),
        (lambda: inject(optimizers.adam)(0.1, b1=1.5), ValueError, 'b1: '),
        (
            lambda: inject(optimizers.adam)(tf.Variable(0.1)),
            ValueError,
            r'learning_rate: .*tf\.Variable',
        ),
        (lambda: inject(optimizers.adam)([0.1]), TypeError, ''),
        (
            lambda: inject(optimizers.adam)(np.ones([2])),
            ValueError,
            'learning_rate: expected one number',
        ),
        (lambda: inject(optimizers.adam)(0.1, beta=0.9), TypeError, 'beta'),
        (
            lambda: inject(optimizers.adam)(lambda step: tf.ones([2])),
            ValueError,
            'learning_rate: expected shape',
        ),
        (lambda: inject(optimizers.adam, 'b3'), ValueError, "'b3'.*b1"),
        (
            lambda: inject(optimizers.adam(0.1)),
            TypeError,
            'optimizers.adam itself',
        ),
        (
            lambda: inject(lambda rate: rate)(0.1),
            TypeError,
            'inner_factory: expected a gradient transformation',
        ),
    ):
      with self.subTest(message), self.assertRaisesRegex(error, message):
        make()

  def test_numbers_that_form_the_graph_are_refused_by_name(self):
    for name, factory in (
        ('ns_steps', lambda ns_steps: optimizers.muon(0.1, ns_steps=ns_steps)),
        ('ns_steps', lambda n: optimizers.scale_by_muon(ns_steps=n)),
        ('min_dim_size_to_factor', lambda n: optimizers.adafactor(0.1, n)),
    ):
      with self.assertRaisesRegex(ValueError, f'^{name}: .*static_args'):
        optimizers.inject_hyperparams(factory)(3)


class TensorsTest(parameterized.TestCase):
  """A scalar tensor for a number, without the state of `inject_hyperparams`."""

  def test_in_a_graph_they_are_no_constants(self):
    @tf.function
    def update(rate, decay):
      optimizer = optimizers.sgd(rate, momentum=decay)
      state = optimizer.init(_W)
      for _ in range(2):
        updates, state = optimizer.update(_W, state, _W)
      return updates['w']

    for rate, decay in ((0.5, 0.5), (0.25, 0.75)):
      updates = update(tf.constant(rate), tf.constant(decay))
      np.testing.assert_allclose(updates, -rate * (1 + decay) * _W['w'])
    self.assertEqual(update.experimental_get_tracing_count(), 1)

  def test_known_values_are_checked_also_while_tracing(self):
    bad = tf.constant(1.5)

    @tf.function
    def trace():
      return optimizers.adam(0.1, b1=bad).init(_W)

    for call in (trace, lambda: optimizers.adam(0.1, b1=bad)):
      with self.assertRaisesRegex(ValueError, r'b1: .*\[0, 1\), got 1\.5'):
        call()

  @parameterized.parameters(None, False, True)
  def test_a_rate_is_the_decimal_number_that_was_meant(self, jit_compile):
    exact = moments.exact
    if jit_compile is not None:
      exact = tf.function(exact, jit_compile=jit_compile)
    random = np.random.default_rng(0)
    meant = np.concatenate([
        [0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 0.999999],
        random.integers(0, 10**6, 1000) / 10**6,
    ])
    given = exact(tf.constant(meant, tf.float32))
    np.testing.assert_allclose(1 - given, 1 - meant, rtol=1e-9)
    anything = random.uniform(-2, 2, 1000).astype(np.float32)
    np.testing.assert_array_equal(
        tf.cast(exact(tf.constant(anything)), tf.float32), anything
    )
    self.assertTrue(np.isnan(exact(tf.constant(np.nan))))
    self.assertEqual(float(exact(tf.constant(np.inf))), np.inf)


class NestedTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('chain', lambda inner: optimizers.chain(optimizers.scale(2.0), inner)),
      ('finite', lambda inner: optimizers.apply_if_finite(inner, 3)),
      ('lookahead', lambda inner: optimizers.lookahead(inner, 2, 1.0)),
      (
          'lookahead_reset',
          lambda inner: optimizers.lookahead(
              optimizers.chain(inner, optimizers.masked(inner, 'w')),
              2,
              1.0,
              True,
          ),
      ),
      ('masked', lambda inner: optimizers.masked(inner, 'w')),
      ('multi_steps', lambda inner: optimizers.multi_steps(inner, 1)),
      (
          'partition',
          lambda inner: optimizers.partition(
              {'w': inner, '.*': optimizers.set_to_zero()}
          ),
      ),
  )
  def test_what_is_set_stays_set(self, wrap):
    sgd = optimizers.inject_hyperparams(optimizers.sgd)(0.5)
    optimizer = wrap(sgd)
    state = optimizer.init(_W)
    update = tf.function(optimizer.update, autograph=False)
    before, state = update(_W, state, _W)
    state = comparison.set_injected(state, lambda rate: rate / 4)
    scale = 4 ** len(comparison.injected(state))
    for _ in range(4):
      updates, state = update(_W, state, _W)
      np.testing.assert_allclose(updates['w'], before['w'] / scale)
    rates = {float(rate) for rate in comparison.injected(state)}
    self.assertEqual(rates, {0.125})

  def test_a_skipped_step_changes_nothing(self):
    optimizer = optimizers.apply_if_finite(
        optimizers.inject_hyperparams(optimizers.adam)(
            schedules.linear(1.0, 0.0, 4)
        ),
        3,
    )
    _, state = optimizer.update(_W, optimizer.init(_W), _W)
    _, skipped = optimizer.update({'w': _W['w'] * np.nan}, state, _W)
    tf.nest.map_structure(
        np.testing.assert_array_equal, skipped.inner_state, state.inner_state
    )


class _Model(tf.Module):

  def __init__(self):
    super().__init__()
    self.w = tf.Variable([0.0, 0.0])


def _objective(model, batch, seed, is_training):
  del seed, is_training
  values = tf.linalg.matvec(batch['input'], model.w)
  return objectives.Evaluation(values, values, tf.zeros([]))


class TrainStateTest(absltest.TestCase):

  def _run(self):
    optimizer = optimizers.chain(
        optimizers.identity(),
        optimizers.inject_hyperparams(optimizers.sgd)(1.0),
    )
    state = training.TrainState(_Model(), optimizer)
    step = training.make_train_step(_objective, optimizer, metrics.mean())
    return state, step, state.optimizer_state[1].hyperparams['learning_rate']

  def test_is_set_saved_restored_and_hashed(self):
    state, step, rate = self._run()
    batch = {
        'input': tf.ones([4, 2]),
        'label': tf.zeros([4]),
        'weight': tf.ones([4]),
    }
    step(state, batch)
    np.testing.assert_array_equal(state.model.w, [-1.0, -1.0])
    before = variables.digest(state.named_variables())
    rate.assign(0.25)
    self.assertNotEqual(variables.digest(state.named_variables()), before)
    step(state, batch)
    np.testing.assert_array_equal(state.model.w, [-1.25, -1.25])
    self.assertEqual(step.experimental_get_tracing_count(), 1)
    folder = self.enter_context(tempfile.TemporaryDirectory())
    named = state.named_variables()
    self.assertIs(named['optimizer/1/hyperparams/learning_rate'], rate)
    path = checkpoints.Checkpointer(folder, named).save(2)
    other, other_step, other_rate = self._run()
    checkpoints.restore(path, other.named_variables())
    self.assertEqual(float(other_rate), 0.25)
    other_step(other, batch)
    np.testing.assert_array_equal(other.model.w, [-1.5, -1.5])


if __name__ == '__main__':
  absltest.main()
