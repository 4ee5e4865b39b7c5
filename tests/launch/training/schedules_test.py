"""Tests of launch.training.schedules."""

from __future__ import annotations

from absl.testing import absltest, parameterized

from launch import parts, programs

_STEPS = 100


def _schedule(name, **extra):
  return parts.call(
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

  @parameterized.parameters(*parts.names('schedule'))
  def test_each_is_a_rate_at_every_step(self, name):
    schedule = _schedule(name)
    values = [float(schedule(step)) for step in range(_STEPS)]
    self.assertAlmostEqual(max(values), 0.2, places=6)
    self.assertGreaterEqual(min(values), 0)

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
