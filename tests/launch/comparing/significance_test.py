"""Tests of launch.comparing.significance, against SciPy and by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
from absl.testing import absltest, parameterized
from scipy import optimize, stats

from launch.comparing import significance


class DistributionTest(parameterized.TestCase):

  @parameterized.parameters(1, 2, 3.7, 4, 30, 1000)
  def test_students_t(self, freedom):
    for t in (0, 1e-3, 0.3, 1, -2.5, 8, 40):
      self.assertAlmostEqual(
          significance.two_sided_p(t, freedom),
          2 * stats.t.sf(abs(t), freedom),
          delta=1e-12,
      )
    for probability in (0.5, 0.8, 0.975, 0.9999):
      np.testing.assert_allclose(
          significance.quantile(probability, freedom),
          stats.t.ppf(probability, freedom),
          rtol=1e-8,
          atol=1e-8,
      )

  def test_a_p_that_is_tiny_keeps_its_digits(self):
    np.testing.assert_allclose(
        significance.two_sided_p(300, 8), 2 * stats.t.sf(300, 8), rtol=1e-9
    )


class TestTest(parameterized.TestCase):

  def assert_is(self, test, expected):
    self.assertAlmostEqual(test.p, expected.pvalue, places=12)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(test.difference[1:], interval, rtol=1e-8)

  @parameterized.parameters(range(8))
  def test_as_scipy(self, seed):
    generator = np.random.default_rng(seed)
    sizes = generator.integers(2, 9, 2)
    ones = generator.normal(0.9, 0.01, sizes[0])
    others = generator.normal(0.89, 0.03, sizes[1])
    test = significance.welch(ones, others)
    self.assert_is(test, stats.ttest_ind(ones, others, equal_var=False))
    again = generator.normal(0.89, 0.03, sizes[0])
    self.assert_is(
        significance.paired(ones, again), stats.ttest_rel(ones, again)
    )
    mean = significance.interval(ones)
    np.testing.assert_allclose(
        mean[1:],
        stats.t.interval(0.95, len(ones) - 1, np.mean(ones), stats.sem(ones)),
    )

  def test_without_spread_the_exact_test(self):
    """A t test would say p = 0 of two pairs that happen to differ alike."""
    test = significance.paired([0.75, 0.5, 1.0], [0.5, 0.25, 0.75])
    self.assertEqual(
        (test.p, test.method, test.is_shown), (0.25, 'sign-flip test', False)
    )
    self.assertEqual(str(test.difference), '0.2500')
    same = significance.paired([0.1, 0.2], [0.1, 0.2])
    self.assertEqual((same.p, same.difference.mean), (1, 0))
    for sizes, p in (((2, 2), 1 / 3), ((3, 2), 0.2), ((5, 5), 2 / 252)):
      groups = [[0.25] * sizes[0], [0.5] * sizes[1]]
      test = significance.welch(*groups)
      self.assertAlmostEqual(test.p, p)
      self.assertAlmostEqual(
          p,
          stats.permutation_test(
              groups,
              lambda x, y: np.mean(x) - np.mean(y),
              vectorized=False,
          ).pvalue,
      )
    # As fractions round: 0.1 + 0.2 - 0.3.
    test = significance.paired([0.1 + 0.2, 0.6], [0.3, 0.6])
    self.assertEqual(test.p, 1)
    self.assertEqual(str(significance.interval([0.5])), '0.5000')

  @parameterized.parameters((5, 0.012), (10, 0.003), (3, 0.06))
  def test_what_would_have_been_shown(self, number, tolerance):
    """By the noncentral t, of which this is an approximation."""
    gaps = np.random.default_rng(0).normal(size=number)
    test = significance.paired(gaps, np.zeros(number))
    error = np.std(gaps, ddof=1) / math.sqrt(number)
    most = stats.t.ppf(0.975, number - 1)
    exact = optimize.brentq(
        lambda shift: stats.nct.sf(most, number - 1, shift) - 0.8, 1, 9
    )
    np.testing.assert_allclose(test.detectable / error, exact, rtol=tolerance)

  def test_holm(self):
    self.assertEqual(
        significance.holm([0.02, 0.5, 0.01, 0.6], 4), [0.06, 1, 0.04, 1]
    )
    self.assertEqual(significance.holm([0.01, 0.04], 10), [0.1, 0.36])
    self.assertEqual(significance.holm([], 0), [])

  def test_five_seeds_of_equal_recipes_seldom_differ(self):
    """Of accuracies over 1,000 examples, which are no normal numbers."""
    generator = np.random.default_rng(0)
    shown, times = {'paired': 0, 'welch': 0, 'best of 6': 0}, 400
    for _ in range(times):
      recipes = generator.binomial(1000, 0.97, [6, 5]) / 1000
      for name in ('paired', 'welch'):
        test = getattr(significance, name)(*recipes[:2])
        shown[name] += test.is_shown
      pairs = itertools.combinations(recipes, 2)
      ps = significance.holm(
          [significance.paired(*each).p for each in pairs], 15
      )
      shown['best of 6'] += min(ps) < 0.05
    for name, number in shown.items():  # Of 400 by chance 20, and 33 seldom.
      self.assertLess(number, 33, name)
    self.assertGreater(shown['paired'], 5)

  def test_text(self):
    self.assertEqual(
        list(map(significance.p_text, (0.00001, 0.00345, 0.41, 1))),
        ['< 0.0001', '= 0.0034', '= 0.41', '= 1'],
    )


if __name__ == '__main__':
  absltest.main()
