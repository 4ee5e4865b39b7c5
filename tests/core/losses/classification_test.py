"""Tests of the losses of one class among many.

Covers: arguments.
"""

from __future__ import annotations

import keras
import numpy as np
import optax
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_LABELS = np.array([2, 0, 3, 1, 1])
_LOGITS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32) * 3
_ONE_HOT = np.eye(4, dtype=np.float32)[_LABELS]

# As Optax takes them, but for the order.
_LABELS_FIRST = (
    ('softmax_cross_entropy', _ONE_HOT),
    ('softmax_cross_entropy', _LABELS),
    ('softmax_cross_entropy_with_integer_labels', _LABELS),
    ('poly_loss_cross_entropy', _LABELS),
    ('multiclass_hinge_loss', _LABELS),
    ('kl_divergence', _ONE_HOT),
    ('dice_loss', _LABELS),
    ('dice_loss', _ONE_HOT),
    ('sigmoid_binary_cross_entropy', _ONE_HOT),
    ('sigmoid_focal_loss', _ONE_HOT),
    ('hinge_loss', _ONE_HOT),
)


class SoftmaxCrossEntropyTest(parameterized.TestCase):

  @parameterized.parameters(0.0, 0.1, 1.0)
  def test_equals_optax_and_keras(self, smoothing):
    actual = losses.softmax_cross_entropy(
        _LABELS, _LOGITS, label_smoothing=smoothing
    )
    expected = optax.losses.softmax_cross_entropy(
        _LOGITS, optax.losses.smooth_labels(_ONE_HOT, smoothing)
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    expected = keras.losses.categorical_crossentropy(
        _ONE_HOT, _LOGITS, from_logits=True, label_smoothing=smoothing
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5)

  def test_soft_labels_equal_optax(self):
    labels = np.random.default_rng(1).dirichlet(np.ones(4), 5)
    labels = labels.astype(np.float32)
    actual = losses.softmax_cross_entropy(labels, _LOGITS)
    expected = optax.losses.softmax_cross_entropy(_LOGITS, labels)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)

  @parameterized.parameters(0.0, 0.3)
  def test_class_weights_multiply_the_examples(self, smoothing):
    weights = [1.0, 0.0, 2.5, 4.0]
    plain = losses.softmax_cross_entropy(
        _LABELS, _LOGITS, label_smoothing=smoothing
    )
    weighted = losses.softmax_cross_entropy(
        _LABELS, _LOGITS, class_weights=weights, label_smoothing=smoothing
    )
    np.testing.assert_allclose(weighted, plain * [2.5, 1, 4, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(
        losses.softmax_cross_entropy(
            _ONE_HOT, _LOGITS, class_weights=weights, label_smoothing=smoothing
        ),
        weighted,
        rtol=1e-5,
    )

  def test_gradient_is_softmax_less_label(self):
    logits = tf.constant(_LOGITS)
    with tf.GradientTape() as tape:
      tape.watch(logits)
      value = losses.total(losses.softmax_cross_entropy(_LABELS, logits))
    np.testing.assert_allclose(
        tape.gradient(value, logits),
        tf.nn.softmax(_LOGITS) - _ONE_HOT,
        atol=1e-6,
    )

  @parameterized.parameters(False, True)
  def test_label_out_of_range(self, jit):
    labels = tf.constant([4, 0, -1, 1, 1])

    @tf.function(jit_compile=jit)
    def value_and_gradient(labels, logits, weights):
      with tf.GradientTape() as tape:
        tape.watch(logits)
        values = losses.softmax_cross_entropy(labels, logits)
        value = losses.mean(values, weights)
      return values, value, tape.gradient(value, logits)

    with self.assertRaisesRegex(ValueError, r'labels: .*\[0, 4\).* 4'):
      losses.softmax_cross_entropy(labels, _LOGITS)
    values, value, gradient = value_and_gradient(
        labels, tf.constant(_LOGITS), tf.constant([0.0, 1.0, 0.0, 1.0, 1.0])
    )
    np.testing.assert_array_equal(np.isnan(values), [1, 0, 1, 0, 0])
    self.assertTrue(np.isfinite(value))
    self.assertTrue(np.isfinite(gradient).all())
    _, value, _ = value_and_gradient(labels, tf.constant(_LOGITS), tf.ones([5]))
    self.assertTrue(np.isnan(value))

  def test_bad_calls(self):
    loss = losses.softmax_cross_entropy
    with self.assertRaisesRegex(ValueError, r'class_weights: .*\[4\].*3'):
      loss(_LABELS, _LOGITS, class_weights=[1.0, 2.0, 3.0])
    with self.assertRaisesRegex(ValueError, 'labels'):
      loss(_LABELS[:, None], _LOGITS)
    with self.assertRaisesRegex(ValueError, 'labels'):
      loss(_LABELS[:3], _LOGITS)
    with self.assertRaisesRegex(ValueError, 'logits'):
      loss(_LABELS, _LOGITS[0])
    with self.assertRaisesRegex(TypeError, 'labels'):
      loss(_LABELS.astype(np.float32), _LOGITS)
    with self.assertRaisesRegex(TypeError, 'logits'):
      loss(_LABELS, _LOGITS.astype(np.int32))

  @parameterized.parameters(False, True)
  def test_labels_that_a_mask_excludes(self, jit):
    mask = np.ones([5, 4], bool)
    mask[0], mask[2, 3] = False, False  # No class at all; the label's.

    @tf.function(jit_compile=jit)
    def value_and_gradient(logits, probabilities, weights):
      results = []
      for loss, labels in (
          (losses.softmax_cross_entropy, _LABELS),
          (losses.softmax_cross_entropy, probabilities),
          (losses.kl_divergence, probabilities),
      ):
        with tf.GradientTape() as tape:
          tape.watch(logits)
          values = loss(labels, logits, class_mask=mask)
          value = losses.mean(values, weights)
        results.append((values, value, tape.gradient(value, logits)))
      return results

    logits = tf.constant(np.where(mask, _LOGITS, np.nan))
    weights = tf.constant([0.0, 1, 0, 1, 1])
    for probabilities, is_nan in (
        (_ONE_HOT, [1, 0, 1, 0, 0]),
        (np.where(mask, _ONE_HOT, np.float32(0)), [1, 0, 0, 0, 0]),
    ):
      of_labels, *of_probabilities = value_and_gradient(
          logits, tf.constant(probabilities), weights
      )
      np.testing.assert_array_equal(np.isnan(of_labels[0]), [1, 0, 1, 0, 0])
      for values, _, _ in of_probabilities:
        np.testing.assert_array_equal(np.isnan(values), is_nan)
      for _, value, gradient in (of_labels, *of_probabilities):
        self.assertTrue(np.isfinite(value))
        self.assertTrue(np.isfinite(gradient).all())
        np.testing.assert_array_equal(gradient.numpy()[~mask], 0)
    with self.assertRaisesRegex(ValueError, 'labels: .*class_mask'):
      losses.softmax_cross_entropy(_LABELS, _LOGITS, class_mask=mask)
    with self.assertRaisesRegex(ValueError, 'labels: .*class_mask'):
      losses.kl_divergence(_ONE_HOT, _LOGITS, class_mask=mask)

  @parameterized.parameters(-0.1, 1.1)
  def test_bad_smoothing(self, smoothing):
    with self.assertRaisesRegex(ValueError, 'label_smoothing'):
      losses.softmax_cross_entropy(_LABELS, _LOGITS, label_smoothing=smoothing)
    with self.assertRaisesRegex(ValueError, 'label_smoothing'):
      losses.softmax_cross_entropy(_ONE_HOT, _LOGITS, label_smoothing=smoothing)

  def test_bad_probabilities(self):
    loss = losses.softmax_cross_entropy
    with self.assertRaisesRegex(TypeError, 'labels: expected integer'):
      loss(_LABELS.astype(np.float32), _LOGITS)
    with self.assertRaisesRegex(ValueError, 'class_weights'):
      loss(_ONE_HOT, _LOGITS, class_weights=[1.0])
    half = tf.cast(np.tile([0.251, 0.25, 0.25, 0.25], [5, 1]), tf.bfloat16)
    np.testing.assert_allclose(loss(half, tf.zeros([5, 4])), np.log(4), 1e-2)
    np.testing.assert_array_equal(loss(0 * _ONE_HOT, _LOGITS), 0)

  @parameterized.parameters(*_LABELS_FIRST)
  def test_calls_in_the_order_of_optax_fail(self, name, targets):
    loss = getattr(losses, name)
    with self.assertRaises((TypeError, ValueError)):
      loss(_LOGITS, targets)
    if targets.dtype == np.float32:
      self.assertTrue(np.isnan(tf.function(loss)(_LOGITS, targets)).all())
    loss(targets, _LOGITS)


class SoftmaxFocalTest(parameterized.TestCase):

  @parameterized.parameters(0.5, 1.0, 2.0, 3.5)
  def test_equals_keras(self, gamma):
    np.testing.assert_allclose(
        losses.softmax_focal_loss(_LABELS, _LOGITS, gamma=gamma),
        keras.losses.categorical_focal_crossentropy(
            _ONE_HOT, _LOGITS, alpha=1.0, gamma=gamma, from_logits=True
        ),
        rtol=1e-4,
    )

  def test_gamma_0_is_the_cross_entropy(self):
    weights = [1.0, 2.0, 0.5, 3.0]
    np.testing.assert_allclose(
        losses.softmax_focal_loss(
            _LABELS, _LOGITS, gamma=0.0, class_weights=weights
        ),
        losses.softmax_cross_entropy(_LABELS, _LOGITS, class_weights=weights),
        rtol=1e-6,
    )

  def test_gradient_vanishes_where_the_label_is_sure(self):
    logits = tf.constant([[200.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
      tape.watch(logits)
      value = losses.softmax_focal_loss([0], logits, gamma=0.1)
    np.testing.assert_allclose(tape.gradient(value, logits), [[0, 0, 0]])

  def test_bad_options(self):
    with self.assertRaisesRegex(ValueError, 'gamma'):
      losses.softmax_focal_loss(_LABELS, _LOGITS, gamma=-1.0)
    with self.assertRaisesRegex(ValueError, 'class_weights'):
      losses.softmax_focal_loss(_LABELS, _LOGITS, class_weights=[1.0])


class Poly1CrossEntropyTest(parameterized.TestCase):

  @parameterized.parameters(-1.0, 0.0, 2.0)
  def test_equals_optax(self, epsilon):
    np.testing.assert_allclose(
        losses.poly_loss_cross_entropy(_LABELS, _LOGITS, epsilon=epsilon),
        optax.losses.poly_loss_cross_entropy(
            _LOGITS, _ONE_HOT, epsilon=epsilon
        ),
        rtol=1e-5,
        atol=1e-6,
    )

  def test_bad_epsilon(self):
    with self.assertRaisesRegex(ValueError, 'epsilon'):
      losses.poly_loss_cross_entropy(_LABELS, _LOGITS, epsilon=-2.0)


if __name__ == '__main__':
  absltest.main()
