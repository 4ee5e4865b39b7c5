"""Tests of the margin losses of classifiers."""

from __future__ import annotations

import keras
import numpy as np
import optax
from absl.testing import absltest, parameterized

from core import losses

_LOGITS = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
_CLASSES = np.array([0, 3, 2, 2, 1, 0])


class MarginsTest(parameterized.TestCase):

  def test_hinge_equals_optax_and_keras(self):
    labels = np.random.default_rng(0).integers(0, 2, (6, 4))
    actual = losses.hinge_loss(labels, _LOGITS)
    elements = optax.losses.hinge_loss(_LOGITS, 2 * labels - 1)
    np.testing.assert_allclose(actual, np.mean(elements, 1), rtol=1e-5)
    np.testing.assert_allclose(
        actual, keras.losses.hinge(labels, _LOGITS), rtol=1e-5
    )

  def test_multiclass_hinge_equals_optax(self):
    np.testing.assert_allclose(
        losses.multiclass_hinge_loss(_CLASSES, _LOGITS),
        optax.losses.multiclass_hinge_loss(_LOGITS, _CLASSES),
        rtol=1e-5,
    )

  @parameterized.parameters(0.0, 0.5, 2.0)
  def test_margin(self, margin):
    value = losses.multiclass_hinge_loss([1], [[1.0, 2.0, 0.0]], margin=margin)
    self.assertAlmostEqual(float(value[0]), max(0.0, margin - 1.0))

  def test_a_single_class_has_no_rival(self):
    self.assertEqual(float(losses.multiclass_hinge_loss([0], [[-5.0]])[0]), 0.0)

  def test_bad_calls(self):
    loss = losses.multiclass_hinge_loss
    with self.assertRaisesRegex(ValueError, 'margin'):
      loss(_CLASSES, _LOGITS, margin=-1.0)
    with self.assertRaisesRegex(ValueError, 'labels'):
      loss(_CLASSES[:2], _LOGITS)
    with self.assertRaisesRegex(ValueError, 'logits'):
      loss(_CLASSES, _LOGITS[:, 0])
    with self.assertRaisesRegex(TypeError, 'labels'):
      loss(_CLASSES.astype(np.float32), _LOGITS)


if __name__ == '__main__':
  absltest.main()
