"""Tests of the losses of yes or no."""

from __future__ import annotations

import keras
import numpy as np
import optax
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_LABELS = np.random.default_rng(0).integers(0, 2, (5, 4)).astype(np.float32)
_LOGITS = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32) * 3


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


class SigmoidCrossEntropyTest(parameterized.TestCase):

  def test_equals_keras_and_optax(self):
    actual = losses.sigmoid_binary_cross_entropy(_LABELS, _LOGITS)
    np.testing.assert_allclose(
        actual,
        keras.losses.binary_crossentropy(_LABELS, _LOGITS, from_logits=True),
        rtol=1e-5,
    )
    elements = optax.losses.sigmoid_binary_cross_entropy(_LOGITS, _LABELS)
    np.testing.assert_allclose(actual, np.mean(elements, 1), rtol=1e-5)
    np.testing.assert_allclose(
        losses.sigmoid_binary_cross_entropy(_LABELS[:, 0], _LOGITS[:, 0]),
        elements[:, 0],
        rtol=1e-5,
    )

  @parameterized.parameters(3.0, ([1.0, 3.0, 0.5, 0.0],))
  def test_positive_weights_scale_the_positive_term(self, weights):
    p = _sigmoid(_LOGITS.astype(np.float64))
    expected = -np.array(weights) * _LABELS * np.log(p)
    expected -= (1 - _LABELS) * np.log(1 - p)
    actual = losses.sigmoid_binary_cross_entropy(
        _LABELS, _LOGITS, positive_weights=weights
    )
    np.testing.assert_allclose(actual, expected.mean(1), rtol=1e-5)

  def test_takes_booleans_and_soft_labels(self):
    np.testing.assert_array_equal(
        losses.sigmoid_binary_cross_entropy(_LABELS > 0, _LOGITS),
        losses.sigmoid_binary_cross_entropy(_LABELS, _LOGITS),
    )
    value = losses.sigmoid_binary_cross_entropy([0.25], [0.0])
    self.assertAlmostEqual(float(value[0]), np.log(2), places=6)

  @parameterized.parameters(
      ([1.0, 2.0],), (np.ones((5, 4), np.float32),), (np.ones((1, 4)),)
  )
  def test_bad_positive_weights(self, weights):
    with self.assertRaisesRegex(ValueError, 'positive_weights'):
      losses.sigmoid_binary_cross_entropy(
          _LABELS, _LOGITS, positive_weights=weights
      )

  @parameterized.parameters(
      losses.sigmoid_binary_cross_entropy,
      losses.sigmoid_focal_loss,
      losses.hinge_loss,
  )
  def test_bad_calls(self, loss):
    with self.assertRaisesRegex(ValueError, 'labels'):
      loss(_LABELS[:, 0], _LOGITS)
    with self.assertRaisesRegex(ValueError, r'labels: .*\[0, 1\].* 2'):
      loss(2 * _LABELS, _LOGITS)
    with self.assertRaisesRegex(TypeError, 'logits'):
      loss(_LABELS, _LOGITS.astype(np.int32))


class SigmoidFocalTest(parameterized.TestCase):

  @parameterized.product(alpha=(None, 0.25), gamma=(0.5, 2.0, 3.5))
  def test_equals_optax(self, alpha, gamma):
    labels = _LABELS * 0.75
    np.testing.assert_allclose(
        losses.sigmoid_focal_loss(labels, _LOGITS, alpha=alpha, gamma=gamma),
        np.mean(
            optax.losses.sigmoid_focal_loss(
                _LOGITS, labels, alpha=alpha, gamma=gamma
            ),
            axis=1,
        ),
        rtol=1e-5,
    )

  def test_equals_keras(self):
    np.testing.assert_allclose(
        losses.sigmoid_focal_loss(_LABELS, _LOGITS, alpha=0.25),
        keras.losses.binary_focal_crossentropy(
            _LABELS, _LOGITS, apply_class_balancing=True, from_logits=True
        ),
        rtol=1e-4,
    )

  def test_gamma_0_is_the_cross_entropy(self):
    np.testing.assert_allclose(
        losses.sigmoid_focal_loss(_LABELS, _LOGITS, gamma=0.0),
        losses.sigmoid_binary_cross_entropy(_LABELS, _LOGITS),
        rtol=1e-6,
    )

  def test_gradient_vanishes_where_the_label_is_sure(self):
    logits = tf.constant([200.0, -200.0])
    with tf.GradientTape() as tape:
      tape.watch(logits)
      value = losses.total(losses.sigmoid_focal_loss([1, 0], logits, gamma=0.1))
    np.testing.assert_allclose(tape.gradient(value, logits), [0, 0], atol=1e-6)

  def test_bad_options(self):
    with self.assertRaisesRegex(ValueError, 'gamma'):
      losses.sigmoid_focal_loss(_LABELS, _LOGITS, gamma=-1.0)
    with self.assertRaisesRegex(ValueError, 'alpha'):
      losses.sigmoid_focal_loss(_LABELS, _LOGITS, alpha=2.0)


if __name__ == '__main__':
  absltest.main()
