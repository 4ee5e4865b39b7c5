"""Tests of the divergences and of distillation."""

from __future__ import annotations

import keras
import numpy as np
import scipy.spatial
import scipy.special
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_LOGITS = np.random.default_rng(0).normal(size=(5, 4)) * 3
_P = scipy.special.softmax(_LOGITS, axis=1)
_LABELS = np.random.default_rng(1).dirichlet(np.ones(4), 5)
_LABELS[0] = [0.0, 1.0, 0.0, 0.0]


class DivergencesTest(parameterized.TestCase):

  def test_kl_divergence_equals_scipy_and_keras(self):
    actual = losses.kl_divergence(_LABELS, _LOGITS)
    expected = scipy.special.rel_entr(_LABELS, _P).sum(1)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)
    np.testing.assert_allclose(
        actual, keras.losses.kl_divergence(_LABELS, _P), rtol=1e-4
    )

  def test_kl_divergence_takes_log_probabilities(self):
    np.testing.assert_allclose(
        losses.kl_divergence(_LABELS, np.log(_P)),
        losses.kl_divergence(_LABELS, _LOGITS),
        rtol=1e-9,
    )

  def test_jensen_shannon_equals_scipy(self):
    expected = scipy.spatial.distance.jensenshannon(_LABELS, _P, axis=1) ** 2
    actual = losses.jensen_shannon(_LABELS, _LOGITS)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)

  @parameterized.parameters(losses.kl_divergence, losses.jensen_shannon)
  def test_gradient_of_labels_is_finite_at_0(self, loss):
    labels = tf.constant(_LABELS)
    with tf.GradientTape() as tape:
      tape.watch(labels)
      value = losses.total(loss(labels, _LOGITS))
    self.assertTrue(np.isfinite(tape.gradient(value, labels)).all())

  @parameterized.parameters(1.0, 2.0, 20.0)
  def test_distillation(self, temperature):
    teacher = np.random.default_rng(2).normal(size=(5, 4))
    expected = temperature**2 * scipy.special.rel_entr(
        scipy.special.softmax(teacher / temperature, axis=1),
        scipy.special.softmax(_LOGITS / temperature, axis=1),
    ).sum(1)
    variables = [tf.Variable(teacher), tf.Variable(_LOGITS)]
    with tf.GradientTape() as tape:
      values = losses.distillation(*variables, temperature=temperature)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    to_teacher, to_student = tape.gradient(values, variables)
    self.assertIsNone(to_teacher)
    self.assertGreater(np.abs(to_student).max(), 0.1)

  @parameterized.parameters(
      (losses.kl_divergence, 'labels'),
      (losses.jensen_shannon, 'labels'),
      (losses.distillation, 'teacher_logits'),
  )
  def test_bad_calls(self, loss, argument):
    with self.assertRaisesRegex(ValueError, argument):
      loss(_LABELS[:2], _LOGITS)
    with self.assertRaisesRegex(ValueError, 'logits'):
      loss(_LABELS[0], _LOGITS[0])
    with self.assertRaisesRegex(TypeError, 'logits'):
      loss(_LABELS, _LOGITS.astype(np.int32))

  def test_bad_temperature(self):
    with self.assertRaisesRegex(ValueError, 'temperature'):
      losses.distillation(_LOGITS, _LOGITS, temperature=0.0)


if __name__ == '__main__':
  absltest.main()
