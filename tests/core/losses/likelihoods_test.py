"""Tests of the negative log-likelihoods."""

from __future__ import annotations

import numpy as np
import scipy.stats
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_GENERATOR = np.random.default_rng(0)
_COUNTS = _GENERATOR.integers(0, 20, (5, 3))
_LABELS = _GENERATOR.normal(size=(5, 3))
_MEANS = _GENERATOR.normal(size=(5, 3))
_VARIANCES = _GENERATOR.uniform(0.1, 4.0, (5, 3))


class PoissonTest(parameterized.TestCase):

  def test_equals_scipy(self):
    expected = -scipy.stats.poisson.logpmf(_COUNTS, np.exp(_MEANS))
    np.testing.assert_allclose(
        losses.poisson(_COUNTS, _MEANS, full=True), expected.mean(1), rtol=1e-9
    )
    np.testing.assert_allclose(
        losses.poisson(_COUNTS, _MEANS),
        (np.exp(_MEANS) - _COUNTS * _MEANS).mean(1),
        rtol=1e-9,
    )

  def test_goes_on_straight_and_smoothly(self):
    log_rates = tf.constant([29.999, 30.001, 40.0, 1e4], tf.float64)
    with tf.GradientTape() as tape:
      tape.watch(log_rates)
      values = losses.poisson(np.zeros(4), log_rates)
    slopes = tape.gradient(values, log_rates)
    end = np.exp(30.0)
    np.testing.assert_allclose(values[:2], [end, end], rtol=2e-3)
    np.testing.assert_allclose(slopes, [end] * 4, rtol=2e-3)
    np.testing.assert_allclose(values[3], end * (1e4 - 29), rtol=1e-6)


class GaussianTest(parameterized.TestCase):

  def test_equals_scipy(self):
    expected = -scipy.stats.norm.logpdf(_LABELS, _MEANS, np.sqrt(_VARIANCES))
    loss = losses.gaussian_negative_log_likelihood
    full = loss(_LABELS, _MEANS, variances=_VARIANCES, full=True)
    np.testing.assert_allclose(full, expected.mean(1), rtol=1e-9)
    np.testing.assert_allclose(
        full - loss(_LABELS, _MEANS, variances=_VARIANCES),
        np.full(5, 0.5 * np.log(2 * np.pi)),
        rtol=1e-9,
    )

  @parameterized.parameters(-1e4, 0.0, 0.01)
  def test_too_small_a_variance(self, variance):
    variances = tf.constant([variance])
    with tf.GradientTape() as tape:
      tape.watch(variances)
      values = losses.gaussian_negative_log_likelihood(
          [3.0], [1.0], variances=variances, smallest_variance=0.1
      )
    self.assertAlmostEqual(
        float(values[0]), 0.5 * (np.log(0.1) + 4.0 / 0.1), places=4
    )
    slope = float(tape.gradient(values, variances)[0])
    self.assertAlmostEqual(slope, 0.5 * (1 / 0.1 - 4 / 0.01), places=2)

  def test_bad_calls(self):
    loss = losses.gaussian_negative_log_likelihood
    with self.assertRaisesRegex(ValueError, 'variances'):
      loss(_LABELS, _MEANS, variances=_VARIANCES[:1])
    with self.assertRaisesRegex(TypeError, 'variances'):
      loss(_LABELS, _MEANS, variances=_COUNTS)
    with self.assertRaisesRegex(ValueError, 'smallest_variance'):
      loss(_LABELS, _MEANS, variances=_VARIANCES, smallest_variance=0.0)
    with self.assertRaisesRegex(ValueError, 'labels'):
      loss(_LABELS[:1], _MEANS, variances=_VARIANCES)
    with self.assertRaisesRegex(ValueError, 'labels'):
      losses.poisson(_COUNTS[:1], _MEANS)
    with self.assertRaisesRegex(TypeError, 'log_rates'):
      losses.poisson(_COUNTS, _COUNTS)


if __name__ == '__main__':
  absltest.main()
