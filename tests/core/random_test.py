"""Tests of random numbers that do not depend on the number of replicas."""

from __future__ import annotations

from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized
from scipy import stats

from core import random
from tests import virtual_devices

_SEED = (3, 7)


def _over_replicas(
    num_replicas, shape, jit_compile=False, numbers=random.uniform
):
  """Draws a global batch on several replicas and concatenates it."""
  strategy = virtual_devices.mirrored(num_replicas)
  per_replica = [shape[0] // num_replicas, *shape[1:]]

  def draw():
    draw_rows = lambda: numbers(tf.constant(_SEED), per_replica)
    if jit_compile:
      draw_rows = tf.function(draw_rows, jit_compile=True)
    return draw_rows()

  parts = tf.function(lambda: strategy.run(draw))()
  return np.concatenate(strategy.experimental_local_results(parts))


class UniformTest(parameterized.TestCase):

  @parameterized.product(
      shape=((6,), (12, 1), (6, 5), (6, 3, 2, 3), (6, 8)),
      jit_compile=(False, True),
  )
  def test_replicas_draw_together_what_one_draws(self, shape, jit_compile):
    one = _over_replicas(1, shape, jit_compile)
    self.assertEqual(one.shape, shape)
    self.assertLen(np.unique(one), one.size)
    for num_replicas in (2, 3):
      np.testing.assert_array_equal(
          _over_replicas(num_replicas, shape, jit_compile), one
      )

  @parameterized.parameters(random.uniform, random.normal)
  def test_a_shape_that_is_one_tensor(self, numbers):
    expected = numbers(tf.constant(_SEED), [6, 5])

    @tf.function
    def draw(x):
      return numbers(tf.constant(_SEED), tf.shape(x))

    for shape in ([6, 5], [None, 5], [None, None]):
      spec = tf.TensorSpec(shape)
      np.testing.assert_array_equal(
          draw.get_concrete_function(spec)(tf.zeros([6, 5])), expected
      )
    np.testing.assert_array_equal(
        numbers(tf.constant(_SEED), tf.constant([6, 5])), expected
    )
    with self.assertRaisesRegex(ValueError, 'shape: expected a sequence of'):
      draw.get_concrete_function(tf.TensorSpec(None))

  def test_outside_of_a_strategy_it_is_the_only_replica(self):
    np.testing.assert_array_equal(
        random.uniform(_SEED, [6, 5]), _over_replicas(3, (6, 5))
    )

  def test_a_longer_batch_begins_with_the_shorter_one(self):
    np.testing.assert_array_equal(
        random.uniform(_SEED, [9, 5])[:4], random.uniform(_SEED, [4, 5])
    )

  @parameterized.parameters(False, True)
  def test_is_uniform_and_uncorrelated(self, jit_compile):
    draw = tf.function(random.uniform, jit_compile=jit_compile)
    x = draw(tf.constant(_SEED), (4000, 5)).numpy()
    self.assertBetween(x.min(), 0, 1e-3)
    self.assertBetween(x.max(), 1 - 1e-3, np.nextafter(np.float32(1), 0))
    counts = np.histogram(x, 10, (0, 1))[0]
    # 99.99 % point of chi-squared with 9 degrees of freedom.
    self.assertLess(((counts - 2000) ** 2 / 2000).sum(), 33.7)
    correlations = np.corrcoef(np.concatenate([x[:-1], x[1:]], 1).T)
    self.assertLess(np.abs(correlations - np.eye(10)).max(), 0.07)
    np.testing.assert_array_equal(x, draw(tf.constant(_SEED), (4000, 5)))

  def test_the_batch_size_may_be_a_tensor(self):
    @tf.function
    def draw(batch_size):
      return random.uniform(_SEED, [batch_size, 5])

    np.testing.assert_array_equal(
        draw(tf.constant(6)), random.uniform(_SEED, [6, 5])
    )


class NormalTest(parameterized.TestCase):

  @parameterized.parameters(False, True)
  def test_is_normal_and_uncorrelated(self, jit_compile):
    draw = tf.function(random.normal, jit_compile=jit_compile)
    x = draw(tf.constant(_SEED), (4000, 5)).numpy()
    moments = [np.mean(x**power) for power in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.15)
    # 99.99 % point of the Kolmogorov-Smirnov statistic.
    self.assertLess(
        stats.kstest(x.ravel(), 'norm').statistic, 2.23 / x.size**0.5
    )
    correlations = np.corrcoef(np.concatenate([x[:-1], x[1:]], 1).T)
    self.assertLess(np.abs(correlations - np.eye(10)).max(), 0.07)

  def test_is_finite_at_both_ends_of_the_uniform_numbers(self):
    ends = np.float32([0, 2.0**-23, 0.5, 1 - 2.0**-23])
    with mock.patch.object(random, 'uniform', lambda *_: tf.constant(ends)):
      x = random.normal(_SEED, [4]).numpy()
    np.testing.assert_allclose(x, stats.norm.ppf(ends + 2.0**-24), atol=2e-6)

  @parameterized.product(num_replicas=(2, 3), jit_compile=(False, True))
  def test_replicas_draw_together_what_one_draws(
      self, num_replicas, jit_compile
  ):
    one, many = (
        _over_replicas(n, (6, 5), jit_compile, random.normal)
        for n in (1, num_replicas)
    )
    np.testing.assert_allclose(many, one, rtol=1e-6)


class SeedsTest(parameterized.TestCase):

  def test_derived_seeds_are_int32_pairs_that_all_differ(self):
    seeds = [tf.constant(_SEED)]
    seeds += [random.fold_in(_SEED, i) for i in range(20)]
    seeds += random.split(_SEED, 20)
    seeds += [random.fold_in(random.fold_in(_SEED, 1), i) for i in range(20)]
    for seed in seeds:
      self.assertEqual(seed.dtype, tf.int32)
      self.assertEqual(seed.shape, [2])
    self.assertLen({tuple(seed.numpy()) for seed in seeds}, len(seeds))

  def test_numbers_of_derived_seeds_are_independent(self):
    steps = [random.fold_in(_SEED, step) for step in range(5)]
    layers = [random.layer_seed(steps[0], layer) for layer in range(5)]
    seeds = steps + layers + random.split(_SEED, 5)
    numbers = np.stack(
        [np.ravel(random.uniform(seed, [1000, 4])) for seed in seeds]
    )
    correlations = np.corrcoef(numbers) - np.eye(len(seeds))
    self.assertLess(np.abs(correlations).max(), 0.07)

  @parameterized.parameters(tf.int32, tf.int64)
  def test_fold_in_does_not_depend_on_the_type_of_the_number(self, dtype):
    step = tf.constant(5, dtype)
    np.testing.assert_array_equal(
        random.fold_in(_SEED, step), random.fold_in(_SEED, 5)
    )
    np.testing.assert_array_equal(
        tf.function(random.fold_in, jit_compile=True)(_SEED, step),
        tf.function(random.fold_in, jit_compile=True)(_SEED, 5),
    )

  def test_no_seed_gives_no_layer_seed(self):
    self.assertIsNone(random.layer_seed(None, 3))


if __name__ == '__main__':
  absltest.main()
