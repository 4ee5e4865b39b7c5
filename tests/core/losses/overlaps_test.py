"""Tests of the losses of segmentation."""

from __future__ import annotations

import numpy as np
import optax
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_GENERATOR = np.random.default_rng(0)
_CLASSES = _GENERATOR.integers(0, 3, (4, 5, 6))
_LOGITS = _GENERATOR.normal(size=(4, 5, 6, 3)).astype(np.float32) * 2
_MASKS = (_CLASSES == 1).astype(np.float32)


class OverlapsTest(parameterized.TestCase):

  @parameterized.parameters(0.5, 1.0, 3.0)
  def test_dice_by_its_equation(self, smoothing):
    p = tf.nn.softmax(_LOGITS).numpy()
    y = np.eye(3)[_CLASSES]
    index = (2 * (y * p).sum((1, 2)) + smoothing) / (
        y.sum((1, 2)) + p.sum((1, 2)) + smoothing
    )
    np.testing.assert_allclose(
        losses.dice_loss(_CLASSES, _LOGITS, smoothing=smoothing),
        1 - index.mean(1),
        rtol=1e-5,
    )

  @parameterized.parameters((0.5, 0.5), (0.3, 0.7), (1.0, 0.0))
  def test_tversky_equals_optax(self, alpha, beta):
    np.testing.assert_allclose(
        losses.tversky_loss(
            _CLASSES, _LOGITS, alpha=alpha, beta=beta, smoothing=1.0
        ),
        optax.losses.dice_loss(
            _LOGITS,
            np.eye(3, dtype=np.float32)[_CLASSES],
            alpha=alpha,
            beta=beta,
            smooth=1.0,
        ),
        rtol=1e-5,
    )

  def test_masks_equal_optax(self):
    np.testing.assert_allclose(
        losses.dice_loss(_MASKS, _LOGITS[..., 0], smoothing=2.0),
        optax.losses.binary_dice_loss(_LOGITS[..., 0], _MASKS, smooth=1.0),
        rtol=1e-5,
    )

  def test_masks_with_a_channel_are_one_foreground(self):
    np.testing.assert_allclose(
        losses.dice_loss(_MASKS[..., None], _LOGITS[..., :1]),
        losses.dice_loss(_MASKS, _LOGITS[..., 0]),
        rtol=1e-6,
    )

  def test_ends_of_the_range(self):
    right = tf.one_hot(_CLASSES, 3) * 100.0
    np.testing.assert_allclose(losses.dice_loss(_CLASSES, right), 0, atol=1e-6)
    wrong = tf.one_hot((_CLASSES + 1) % 3, 3) * 100.0
    values = losses.dice_loss(_CLASSES, wrong, smoothing=1e-6)
    np.testing.assert_allclose(values, 1, atol=1e-6)
    empty = losses.dice_loss(np.zeros([1, 9]), np.full([1, 9], -100.0))
    np.testing.assert_allclose(empty, 0, atol=1e-6)

  def test_beta_is_the_cost_of_a_miss(self):
    labels, logits = [[1, 1]], [[100.0, -100.0]]
    values = [
        float(losses.tversky_loss(labels, logits, beta=beta)[0])
        for beta in (0.0, 2.0)
    ]
    np.testing.assert_allclose(values, [0.0, 0.5], atol=1e-6)

  @parameterized.product(
      loss=(losses.dice_loss, losses.tversky_loss),
      mask_shape=(None, [4], [4, 5, 6, 4]),
  )
  def test_an_excluded_class_is_not_averaged(self, loss, mask_shape):
    rest = np.array([0, 2, 3])
    logits = np.insert(_LOGITS, 1, -np.inf, axis=-1)
    options = {}
    if mask_shape:
      logits[..., 1] = np.nan
      mask = np.broadcast_to(np.arange(4) != 1, mask_shape)
      options = {'class_mask': mask}
    results = []
    for labels, x in ((_CLASSES, _LOGITS), (rest[_CLASSES], logits)):
      x = tf.constant(x)
      with tf.GradientTape() as tape:
        tape.watch(x)
        values = loss(labels, x, **(options if x.shape[-1] == 4 else {}))
      results.append((values, tape.gradient(values, x).numpy()))
    (expected, slopes), (values, gradient) = results
    np.testing.assert_allclose(values, expected, 1e-6)
    np.testing.assert_array_equal(gradient[..., 1], 0)
    np.testing.assert_allclose(gradient[..., rest], slopes, 1e-5, 1e-7)

  def test_a_class_that_is_excluded_at_some_places_is_averaged(self):
    mask = np.ones(_LOGITS.shape, bool)
    mask[:, 0, 0, 1] = False
    labels = np.where(mask[..., 1], _CLASSES, 0)
    excluded = np.where(mask, _LOGITS, -np.inf)
    p = tf.nn.softmax(excluded).numpy()
    y = np.eye(3)[labels]
    index = (2 * (y * p).sum((1, 2)) + 1) / (y + p + 1 / 30).sum((1, 2))
    np.testing.assert_allclose(
        losses.dice_loss(labels, _LOGITS, class_mask=mask),
        1 - index.mean(1),
        1e-5,
    )

  def test_a_place_without_classes_spoils_its_example_alone(self):
    mask = np.ones(_LOGITS.shape, bool)
    mask[1, 0, 0] = False
    logits = tf.constant(np.where(mask, _LOGITS, np.nan))

    @tf.function
    def value_and_gradient(labels, weights):
      with tf.GradientTape() as tape:
        tape.watch(logits)
        values = losses.dice_loss(labels, logits, class_mask=mask)
        value = losses.mean(values, weights)
      return values, value, tape.gradient(value, logits)

    values, value, gradient = value_and_gradient(
        tf.constant(_CLASSES), tf.constant([1.0, 0.0, 1.0, 1.0])
    )
    np.testing.assert_array_equal(np.isnan(values), [0, 1, 0, 0])
    self.assertTrue(np.isfinite(value))
    np.testing.assert_array_equal(gradient[1], 0 * _LOGITS[1])
    self.assertTrue(np.isfinite(gradient).all())

  def test_masks_have_no_mask_of_classes(self):
    with self.assertRaisesRegex(ValueError, 'class_mask: expected None'):
      losses.dice_loss(_MASKS, _LOGITS[..., 0], class_mask=[True])

  @parameterized.parameters(losses.dice_loss, losses.tversky_loss)
  def test_bad_calls(self, loss):
    with self.assertRaisesRegex(ValueError, 'smoothing'):
      loss(_CLASSES, _LOGITS, smoothing=0.0)
    with self.assertRaisesRegex(ValueError, 'labels'):
      loss(_CLASSES[:, :2], _LOGITS)
    with self.assertRaisesRegex(ValueError, 'labels'):
      loss(_CLASSES[0], _LOGITS)
    with self.assertRaisesRegex(TypeError, 'labels'):
      loss(_MASKS, _LOGITS)
    with self.assertRaisesRegex(ValueError, 'alpha'):
      losses.tversky_loss(_CLASSES, _LOGITS, alpha=-1.0)
    with self.assertRaisesRegex(ValueError, 'beta'):
      losses.tversky_loss(_CLASSES, _LOGITS, beta=-1.0)


if __name__ == '__main__':
  absltest.main()
