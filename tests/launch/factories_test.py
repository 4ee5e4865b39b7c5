"""Tests of launch.factories."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import factories, programs

_STEPS = 100


def _schedule(name, **extra):
  return factories.make(
      'schedule', name, extra, learning_rate=0.2, num_steps=_STEPS
  )


class ScheduleTest(parameterized.TestCase):

  @parameterized.parameters(
      ('constant', {}, {0: 0.2, 50: 0.2, 100: 0.2}),
      ('linear', {}, {0: 0.2, 25: 0.15, 100: 0.0}),
      ('linear', {'end_factor': 0.5}, {0: 0.2, 50: 0.15, 100: 0.1}),
      ('exponential', {}, {0: 0.2, 50: 0.02, 100: 0.002}),
      ('exponential', {'end_factor': 0.25}, {50: 0.1, 100: 0.05}),
      ('cosine', {}, {0: 0.2, 50: 0.1, 100: 0.0}),
      ('cosine', {'end_factor': 0.1}, {0: 0.2, 100: 0.02}),
      ('warmup_cosine', {}, {0: 0.0, 5: 0.1, 10: 0.2, 55: 0.1, 100: 0.0}),
      (
          'warmup_cosine',
          {'warmup_fraction': 0.5, 'end_factor': 0.5},
          {25: 0.1, 50: 0.2, 75: 0.15, 100: 0.1},
      ),
      (
          'piecewise',
          {'boundaries': (0.499, 0.5, 0.501, 0.75), 'factor': 0.5},
          {49: 0.2, 50: 0.025, 75: 0.0125},
      ),
  )
  def test_values(self, name, extra, expected):
    schedule = _schedule(name, **extra)
    for step, value in expected.items():
      self.assertAlmostEqual(float(schedule(step)), value, places=6)

  @parameterized.parameters(*factories.names('schedule'))
  def test_each_is_a_rate_at_every_step(self, name):
    schedule = _schedule(name)
    values = [float(schedule(step)) for step in range(_STEPS)]
    self.assertAlmostEqual(max(values), 0.2, places=6)
    self.assertGreaterEqual(min(values), 0)


class OptimizerTest(parameterized.TestCase):

  def test_arguments_reach_it(self):
    optimizer = factories.make(
        'optimizer', 'sgd', {'momentum': 0.5}, learning_rate=0.1
    )
    parameters = {'w': tf.constant([1.0])}
    gradients = {'w': tf.constant([2.0])}
    state = optimizer.init(parameters)
    updates, state = optimizer.update(gradients, state, parameters)
    np.testing.assert_allclose(updates['w'], [-0.2], rtol=1e-6)
    updates, _ = optimizer.update(gradients, state, parameters)
    np.testing.assert_allclose(updates['w'], [-0.3], rtol=1e-6)

  @parameterized.parameters(*factories.names('optimizer'))
  def test_each_goes_downhill(self, name):
    optimizer = factories.make('optimizer', name, {}, learning_rate=0.01)
    parameters = {'layer/w': tf.ones([4, 6]), 'layer/b': tf.ones([6])}
    state = optimizer.init(parameters)
    for _ in range(2):
      updates, state = optimizer.update(parameters, state, parameters)
    for update in updates.values():
      self.assertLess(np.max(update), 0)

  @parameterized.parameters('loss', 'optimizer', 'schedule')
  def test_unknown_name(self, kind):
    names = ', '.join(sorted(factories.names(kind)))
    with self.assertRaisesRegex(
        programs.UserError, f'--{kind}=adma: unknown; there are: {names}'
    ):
      factories.known_arguments(kind, 'adma')

  @parameterized.parameters(
      ('optimizer', 'adam', {'b1': 'x'}, {'learning_rate': 0.1}),
      ('optimizer', 'adam', {'learning_rate': 1.0}, {'learning_rate': 0.1}),
      ('optimizer', 'sgd', {'momentum': -3.0}, {'learning_rate': 0.1}),
      (
          'schedule',
          'warmup_cosine',
          {'warmup_fraction': 2.0},
          {'learning_rate': 0.1, 'num_steps': 10},
      ),
      (
          'schedule',
          'warmup_cosine',
          {'warmup_fraction': -2.0},
          {'learning_rate': 0.1, 'num_steps': 10},
      ),
      (
          'schedule',
          'exponential',
          {'end_factor': -1.0},
          {'learning_rate': 0.1, 'num_steps': 10},
      ),
  )
  def test_invalid_argument(self, kind, name, extra, given):
    with self.assertRaisesRegex(programs.UserError, f'--{kind}'):
      factories.make(kind, name, extra, **given)

  @parameterized.parameters(
      ('piecewise', 'boundaries'),
      ('warmup_cosine', 'warmup_fraction'),
      ('onecycle', 'peak_fraction'),
      ('inverse_sqrt', 'warmup_fraction'),
  )
  def test_what_is_no_fraction_of_the_run(self, name, argument):
    for wrong in (-0.1, 1.5):
      value = (0.5, wrong) if argument == 'boundaries' else wrong
      with self.assertRaisesRegex(
          programs.UserError, f'{argument}: expected a fraction .* got {wrong}'
      ):
        _schedule(name, **{argument: value})


if __name__ == '__main__':
  absltest.main()
