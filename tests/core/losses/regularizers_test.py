"""Tests of the penalties on what a model does with an example."""

from __future__ import annotations

import keras
import numpy as np
import scipy.special
import scipy.stats
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_INPUTS = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)


class RegularizersTest(parameterized.TestCase):

  def test_activity_equals_keras(self):
    layer = keras.layers.ActivityRegularization(l1=0.3, l2=0.7)
    layer(_INPUTS)
    values = losses.activity_penalty(_INPUTS, l1=0.3, l2=0.7)
    np.testing.assert_allclose(losses.mean(values), layer.losses[0], rtol=1e-5)
    self.assertEqual(values.shape, [5])

  def test_confidence_is_negative_entropy(self):
    logits = _INPUTS[:, 0] * 4
    np.testing.assert_allclose(
        losses.confidence_penalty(logits),
        -scipy.stats.entropy(scipy.special.softmax(logits, axis=1), axis=1),
        rtol=1e-5,
    )

  @parameterized.parameters(None, True)
  def test_confidence_near_the_uniform_distribution(self, jit_compile):
    logits = np.float32([[1e-4, -2e-4, 3e-4, -1e-5]])

    @tf.function(jit_compile=jit_compile)
    def gradient(x):
      return tf.gradients(losses.confidence_penalty(x), x)[0]

    x = np.float64(logits)
    p = scipy.special.softmax(x, axis=1)
    log_p = scipy.special.log_softmax(x, axis=1)
    expected = p * (log_p - np.sum(p * log_p, axis=1, keepdims=True))
    np.testing.assert_allclose(
        gradient(tf.constant(logits)), expected, rtol=1e-5
    )

  @parameterized.parameters(False, True)
  def test_gradient_penalty_of_a_plane(self, jit):
    w = tf.Variable(np.arange(1.0, 7.0, dtype=np.float32).reshape([2, 3]))

    @tf.function(jit_compile=jit)
    def value_and_gradient(inputs):
      with tf.GradientTape() as tape:
        values = losses.gradient_penalty(
            lambda x: tf.reduce_sum(w * x, [1, 2]), inputs, target_norm=2.0
        )
        value = losses.mean(values)
      return values, tape.gradient(value, w)

    values, gradient = value_and_gradient(tf.constant(_INPUTS))
    norm = np.linalg.norm(w)
    np.testing.assert_allclose(values, [(norm - 2) ** 2] * 5, rtol=1e-5)
    np.testing.assert_allclose(gradient, 2 * (norm - 2) * w / norm, rtol=1e-5)

  def test_gradient_penalty_of_a_flat_function(self):
    w = tf.Variable(0.0)
    with tf.GradientTape() as tape:
      values = losses.gradient_penalty(lambda x: w * x, _INPUTS)
    np.testing.assert_allclose(values, np.ones(5))
    self.assertEqual(float(tape.gradient(values, w)), 0.0)

  def test_bad_calls(self):
    with self.assertRaisesRegex(ValueError, 'l1'):
      losses.activity_penalty(_INPUTS, l1=-1.0)
    with self.assertRaisesRegex(ValueError, 'l2'):
      losses.activity_penalty(_INPUTS, l2=-1.0)
    with self.assertRaisesRegex(ValueError, 'activations'):
      losses.activity_penalty(1.0)
    with self.assertRaisesRegex(ValueError, 'logits'):
      losses.confidence_penalty([1.0, 2.0])
    with self.assertRaisesRegex(TypeError, 'logits'):
      losses.confidence_penalty([[1, 2]])
    with self.assertRaisesRegex(ValueError, 'target_norm'):
      losses.gradient_penalty(tf.identity, _INPUTS, target_norm=-1.0)
    with self.assertRaisesRegex(ValueError, 'function'):
      losses.gradient_penalty(lambda _: tf.constant(1.0), _INPUTS)
    with self.assertRaisesRegex(TypeError, 'inputs'):
      losses.gradient_penalty(tf.identity, [1, 2])
    with self.assertRaisesRegex(ValueError, 'inputs'):
      losses.gradient_penalty(tf.identity, 1.0)


if __name__ == '__main__':
  absltest.main()
