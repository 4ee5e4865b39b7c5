"""Every schedule against Optax, and against float64 for long runs.

Covers: composition, decays, piecewise, schedule.
"""

from __future__ import annotations

import math

import numpy as np
import optax
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import schedules

MILLION = 1_000_000
CYCLES = [
    {
        'init_value': 0.1 * cycle,
        'peak_value': 1.0,
        'warmup_steps': 5,
        'decay_steps': 10 * (1 + cycle),
        'end_value': 0.01,
        'exponent': 1.5,
    }
    for cycle in range(3)
]

# Name, ours, Optax's.
CASES = (
    ('constant', schedules.constant(0.3), optax.constant_schedule(0.3)),
    (
        'linear',
        schedules.linear(0.1, 2.0, 20, 7),
        optax.linear_schedule(0.1, 2.0, 20, 7),
    ),
    (
        'polynomial',
        schedules.polynomial(2.0, 0.1, 2.5, 33),
        optax.polynomial_schedule(2.0, 0.1, 2.5, 33),
    ),
    (
        'exponential_decay',
        schedules.exponential_decay(2.0, 7, 0.9, 5),
        optax.exponential_decay(2.0, 7, 0.9, 5),
    ),
    (
        'exponential_growth_in_stairs_to_a_bound',
        schedules.exponential_decay(2.0, 7, 1.5, 5, True, 10.0),
        optax.exponential_decay(2.0, 7, 1.5, 5, True, 10.0),
    ),
    (
        'cosine_decay',
        schedules.cosine_decay(2.0, 45, 0.1, 1.5),
        optax.cosine_decay_schedule(2.0, 45, 0.1, 1.5),
    ),
    (
        'piecewise_constant',
        schedules.piecewise_constant(2.0, {30: 0.5, 10: 0.1, 40: 3.0}),
        optax.piecewise_constant_schedule(2.0, {30: 0.5, 10: 0.1, 40: 3.0}),
    ),
    (
        'piecewise_constant_without_boundaries',
        schedules.piecewise_constant(2.0),
        optax.piecewise_constant_schedule(2.0),
    ),
    (
        'piecewise_linear',
        schedules.piecewise_interpolate('linear', 2.0, {30: 0.5, 0: 2, 40: 3}),
        optax.piecewise_interpolate_schedule(
            'linear', 2.0, {30: 0.5, 0: 2, 40: 3}
        ),
    ),
    (
        'piecewise_cosine',
        schedules.piecewise_interpolate('cosine', 2.0, {30: 0.5, 10: 0.0}),
        optax.piecewise_interpolate_schedule('cosine', 2.0, {30: 0.5, 10: 0.0}),
    ),
    (
        'linear_onecycle',
        schedules.linear_onecycle(45, 2.0, 0.25, 0.75, 10.0, 100.0),
        optax.linear_onecycle_schedule(45, 2.0, 0.25, 0.75, 10.0, 100.0),
    ),
    (
        'cosine_onecycle',
        schedules.cosine_onecycle(45, 2.0, 0.25, 10.0, 100.0),
        optax.cosine_onecycle_schedule(45, 2.0, 0.25, 10.0, 100.0),
    ),
    (
        'warmup_cosine_decay',
        schedules.warmup_cosine_decay(0.1, 2.0, 10, 45, 0.01, 1.5),
        optax.warmup_cosine_decay_schedule(0.1, 2.0, 10, 45, 0.01, 1.5),
    ),
    (
        'warmup_cosine_decay_without_warmup',
        schedules.warmup_cosine_decay(0.1, 2.0, 0, 45),
        optax.warmup_cosine_decay_schedule(0.1, 2.0, 0, 45),
    ),
    ('sgdr', schedules.sgdr(CYCLES), optax.sgdr_schedule(CYCLES)),
    (
        'join',
        schedules.join(
            [
                schedules.linear(0.0, 1.0, 10),
                schedules.constant(0.5),
                schedules.exponential_decay(1.0, 10, 0.5),
            ],
            [10, 20],
        ),
        optax.join_schedules(
            [
                optax.linear_schedule(0.0, 1.0, 10),
                optax.constant_schedule(0.5),
                optax.exponential_decay(1.0, 10, 0.5),
            ],
            [10, 20],
        ),
    ),
)


def _cosine_onecycle(peak_value, div_factor, final_div_factor):
  return schedules.cosine_onecycle(
      50, peak_value, div_factor=div_factor, final_div_factor=final_div_factor
  )


def _linear_onecycle(peak_value, div_factor, final_div_factor):
  return schedules.linear_onecycle(
      50, peak_value, div_factor=div_factor, final_div_factor=final_div_factor
  )


def _exponential_decay(value, num_steps, rate, begin, end_value):
  return schedules.exponential_decay(
      value, num_steps, rate, begin, end_value=end_value
  )


def _piecewise_constant(value, first, second):
  return schedules.piecewise_constant(value, {30: first, 10: second})


def _piecewise_interpolate(value, first, second):
  return schedules.piecewise_interpolate(
      'cosine', value, {30: first, 10: second}
  )


def _warmup_cosine_decay(init_value, peak_value, end_value, exponent):
  return schedules.warmup_cosine_decay(
      init_value, peak_value, 5, 45, end_value, exponent
  )


class SchedulesTest(parameterized.TestCase):

  @parameterized.named_parameters(*CASES)
  def test_is_optax_s_for_50_steps(self, ours, theirs):
    actual = [ours(step) for step in range(50)]
    expected = np.array([float(theirs(step)) for step in range(50)])
    for value in actual:
      self.assertEqual((value.shape, value.dtype), ((), tf.float32))
    # Optax rounds to float32 at each operation, we at the end.
    np.testing.assert_allclose(
        actual, expected, rtol=1e-6, atol=2e-7 * expected.max()
    )

  @parameterized.named_parameters(*(case[:2] for case in CASES))
  def test_eager_is_graph_is_xla(self, schedule):
    steps = [tf.constant(step, tf.int64) for step in (0, 1, 10, 29, 30, 49, 60)]
    expected = [schedule(step) for step in steps]
    for jit_compile in (False, True):
      function = tf.function(schedule, jit_compile=jit_compile)
      actual = [function(step) for step in steps]
      np.testing.assert_allclose(actual, expected, rtol=3e-7, atol=1e-15)

  @parameterized.parameters(1, 499_999, 2_999_999, 3_000_000, 5_000_000_000)
  def test_long_runs_keep_their_digits(self, step):
    num_steps, warmup = 3 * MILLION, 500_000
    left = max(0, num_steps - step) / num_steps
    phase = (min(step, num_steps) - warmup) / (num_steps - warmup)
    cases = (
        (schedules.linear(0.1, 0.0, num_steps), 0.1 * left),
        (schedules.polynomial(0.1, 0.0, 2, num_steps), 0.1 * left**2),
        (
            schedules.exponential_decay(0.1, MILLION, 0.5),
            max(0.1 * 0.5 ** (step / MILLION), 0.0),
        ),
        (
            schedules.warmup_cosine_decay(0.0, 0.1, warmup, num_steps),
            0.1 * step / warmup
            if step < warmup
            else 0.1 * math.cos(math.pi / 2 * phase) ** 2,
        ),
        (
            schedules.inverse_sqrt(0.1, warmup),
            0.1 * min(step / warmup, math.sqrt(warmup / step)),
        ),
    )
    for schedule, expected in cases:
      np.testing.assert_allclose(
          schedule(step), np.float32(expected), rtol=2e-7, atol=1e-17
      )

  def test_inverse_sqrt_by_hand(self):
    schedule = schedules.inverse_sqrt(2.0, warmup_steps=4, init_value=1.0)
    actual = [float(schedule(step)) for step in (0, 2, 4, 16, 64)]
    self.assertEqual(actual, [1.0, 1.5, 2.0, 1.0, 0.5])

  @parameterized.named_parameters(*(case[:2] for case in CASES))
  def test_a_tensor_of_steps_is_taken_element_by_element(self, schedule):
    steps = np.arange(-1, 59).reshape(3, 20) % 60
    values = schedule(tf.constant(steps, tf.int64))
    self.assertEqual(values.dtype, tf.float32)
    self.assertEqual(values.shape, steps.shape)
    expected = [schedule(int(step)) for step in steps.flat]
    np.testing.assert_array_equal(values.numpy().ravel(), expected)

  def test_takes_variables_and_any_integers(self):
    schedule = schedules.join(
        [schedules.linear(0.0, 1.0, 10), schedules.constant(1.0)], [10]
    )
    for step in (5, tf.Variable(5, dtype=tf.int64), tf.constant(5, tf.int32)):
      self.assertEqual(float(schedule(step)), 0.5)

  @parameterized.named_parameters(
      ('constant', schedules.constant, (0.3,)),
      ('cosine', schedules.cosine_decay, (2.0, 45.0, 0.1, 1.5)),
      ('cosine_onecycle', _cosine_onecycle, (2.0, 20.0, 1e3)),
      ('exponential', _exponential_decay, (2.0, 7.0, 0.9, 5.0, 0.5)),
      ('growth', _exponential_decay, (2.0, 7.0, 1.5, 5.0, 10.0)),
      ('inverse_sqrt', schedules.inverse_sqrt, (2.0, 4.0, 1.0)),
      ('linear_onecycle', _linear_onecycle, (2.0, 20.0, 1e3)),
      ('piecewise_constant', _piecewise_constant, (2.0, 0.5, 0.1)),
      ('piecewise_interpolate', _piecewise_interpolate, (2.0, 0.5, 0.1)),
      ('polynomial', schedules.polynomial, (2.0, 0.1, 2.5, 33.0, 3.0)),
      ('warmup', _warmup_cosine_decay, (0.5, 2.0, 0.25, 1.5)),
      ('warmup_to_0', _warmup_cosine_decay, (0.5, 0.0, 0.25, 1.5)),
  )
  def test_numbers_may_be_tensors(self, make, numbers):
    """As they are where `optimizers.inject_hyperparams` keeps them."""
    steps = tf.range(60, dtype=tf.int64)
    expected = make(*numbers)(steps)
    tensors = [tf.constant(number) for number in numbers]
    traced = tf.function(lambda *numbers: make(*numbers)(steps))
    for values in (make(*tensors)(steps), traced(*tensors)):
      self.assertEqual(values.dtype, tf.float32)
      np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-9)

  def test_numbers_that_form_the_graph_may_not(self):
    for name, make in (
        (
            'boundaries',
            lambda n: schedules.join([schedules.constant(1.0)] * 2, [n]),
        ),
        ('decay_steps', lambda n: schedules.warmup_cosine_decay(0, 1, 2, n)),
        ('pct_start', lambda n: schedules.cosine_onecycle(9, 1.0, n)),
        ('transition_steps', lambda n: schedules.linear_onecycle(n, 1.0)),
        ('warmup_steps', lambda n: schedules.warmup_cosine_decay(0, 1, n, 9)),
    ):
      traced = tf.function(lambda n, make=make: make(n)(0), autograph=False)
      with self.assertRaisesRegex(ValueError, f'{name}: .*depends on it'):
        traced(tf.constant(5))


if __name__ == '__main__':
  absltest.main()
