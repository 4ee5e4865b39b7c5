"""Tests of the losses of real numbers."""

from __future__ import annotations

import keras
import numpy as np
import optax
from absl.testing import absltest, parameterized

from core import losses

_LABELS = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
_PREDICTIONS = _LABELS + np.random.default_rng(1).normal(
    size=(5, 2, 3), scale=3
).astype(np.float32)


def _huber(predictions, labels):
  return optax.losses.huber_loss(predictions, labels, delta=0.7)


class RegressionTest(parameterized.TestCase):

  @parameterized.parameters(
      (losses.squared_error, {}, optax.losses.squared_error),
      (losses.absolute_error, {}, lambda x, y: np.abs(x - y)),
      (losses.huber_loss, {'delta': 0.7}, _huber),
      (losses.log_cosh, {}, optax.losses.log_cosh),
  )
  def test_equals_reference(self, loss, options, reference):
    expected = np.asarray(reference(_PREDICTIONS, _LABELS)).mean((1, 2))
    actual = loss(_LABELS, _PREDICTIONS, **options)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    flat = [array[:, 0, 0] for array in (_LABELS, _PREDICTIONS)]
    np.testing.assert_allclose(
        loss(*flat, **options), reference(*flat[::-1]), rtol=1e-5
    )

  def test_huber_equals_keras(self):
    for delta in (0.5, 1.0, 4.0):
      labels, predictions = _LABELS[:, 0], _PREDICTIONS[:, 0]
      np.testing.assert_allclose(
          losses.huber_loss(labels, predictions, delta=delta),
          keras.losses.huber(labels, predictions, delta=delta),
          rtol=1e-5,
      )

  @parameterized.parameters(0.0, 0.1, 0.5, 0.9)
  def test_quantile_is_least_at_the_quantile(self, level):
    labels = np.arange(101, dtype=np.float32)
    guesses = np.linspace(-10, 110, 121, dtype=np.float32)
    values = [
        float(losses.mean(losses.quantile(labels, 0 * labels + g, level=level)))
        for g in guesses
    ]
    self.assertAlmostEqual(
        float(np.min(values)),
        values[int(np.argmin(np.abs(guesses - 100 * level)))],
        places=4,
    )

  def test_bad_calls(self):
    for loss in (
        losses.squared_error,
        losses.absolute_error,
        losses.huber_loss,
        losses.log_cosh,
        losses.quantile,
    ):
      with self.assertRaisesRegex(ValueError, 'labels'):
        loss(_LABELS[:1], _PREDICTIONS)
      with self.assertRaisesRegex(ValueError, 'predictions: .* batch axis'):
        loss(1.0, 1.0)
      with self.assertRaisesRegex(TypeError, 'predictions'):
        loss([1.0], [1])
    with self.assertRaisesRegex(ValueError, 'delta'):
      losses.huber_loss([1.0], [1.0], delta=0.0)
    with self.assertRaisesRegex(ValueError, 'level'):
      losses.quantile([1.0], [1.0], level=1.5)


if __name__ == '__main__':
  absltest.main()
