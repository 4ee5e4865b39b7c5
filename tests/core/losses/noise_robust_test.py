"""Tests of the losses that bear wrong labels."""

from __future__ import annotations

import numpy as np
import scipy.special
from absl.testing import absltest, parameterized

from core import losses

_LABELS = np.array([2, 0, 3, 1, 1])
_LOGITS = np.random.default_rng(0).normal(size=(5, 4)) * 3
_P = scipy.special.softmax(_LOGITS, axis=1)
_P_LABEL = _P[np.arange(5), _LABELS]


class NoiseRobustTest(parameterized.TestCase):

  @parameterized.parameters(0.1, 0.7, 1.0)
  def test_generalized_cross_entropy(self, q):
    np.testing.assert_allclose(
        losses.generalized_cross_entropy(_LABELS, _LOGITS, q=q),
        (1 - _P_LABEL**q) / q,
        rtol=1e-9,
    )

  def test_generalized_cross_entropy_tends_to_cross_entropy(self):
    np.testing.assert_allclose(
        losses.generalized_cross_entropy(_LABELS, _LOGITS, q=1e-7),
        losses.softmax_cross_entropy(_LABELS, _LOGITS),
        rtol=1e-5,
    )

  @parameterized.parameters((0.1, 1.0, -4.0), (6.0, 0.1, -2.0))
  def test_symmetric_cross_entropy(self, alpha, beta, log_zero):
    log_label = np.where(np.eye(4)[_LABELS] > 0, 0, log_zero)
    np.testing.assert_allclose(
        losses.symmetric_cross_entropy(
            _LABELS, _LOGITS, alpha=alpha, beta=beta, log_zero=log_zero
        ),
        -alpha * np.log(_P_LABEL) - beta * (_P * log_label).sum(1),
        rtol=1e-9,
    )

  @parameterized.parameters(
      (losses.generalized_cross_entropy, {'q': 0.0}),
      (losses.generalized_cross_entropy, {'q': 1.5}),
      (losses.symmetric_cross_entropy, {'alpha': -1.0}),
      (losses.symmetric_cross_entropy, {'beta': -1.0}),
      (losses.symmetric_cross_entropy, {'log_zero': 1.0}),
  )
  def test_bad_options(self, loss, options):
    with self.assertRaisesRegex(ValueError, next(iter(options))):
      loss(_LABELS, _LOGITS, **options)


if __name__ == '__main__':
  absltest.main()
