"""Tests of dynamic loss scaling."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import loss_scaling


def _run(state, finite, **kwargs):
  """Returns the scales after each of some steps."""
  adjust = tf.function(
      lambda state, is_finite: loss_scaling.adjust(state, is_finite, **kwargs),
      jit_compile=True,
  )
  scales = []
  for is_finite in finite:
    state = adjust(state, tf.constant(is_finite))
    scales.append(float(state.scale))
  return scales


class LossScalingTest(parameterized.TestCase):

  def test_halves_at_an_overflow_and_doubles_after_an_interval(self):
    finite = [True, True, True, False, True, True, False, True, True, True]
    self.assertEqual(
        _run(loss_scaling.init(64.0), finite, growth_interval=3),
        [64, 64, 128, 64, 64, 64, 32, 32, 32, 64],
    )

  def test_the_interval_starts_again_after_growth(self):
    self.assertEqual(
        _run(loss_scaling.init(1.0), [True] * 5, growth_interval=2, factor=4.0),
        [1, 4, 4, 16, 16],
    )

  def test_stays_in_its_range(self):
    smallest, largest = 2.0**-126, 2.0**24
    self.assertEqual(
        _run(loss_scaling.init(4 * smallest), [False] * 3),
        [2 * smallest, smallest, smallest],
    )
    self.assertEqual(
        _run(loss_scaling.init(largest), [True] * 2, growth_interval=1),
        [largest] * 2,
    )
    for scale in (smallest, largest):
      self.assertGreaterEqual(
          min(scale, 1 / scale), np.finfo(np.float32).smallest_normal
      )

  def test_falls_below_1_and_comes_back(self):
    finite = [False] * 3 + [True] * 4
    self.assertEqual(
        _run(loss_scaling.init(2.0), finite, growth_interval=2),
        [1, 0.5, 0.25, 0.25, 0.5, 0.5, 1],
    )

  @parameterized.parameters(2.0**-126, 2.0**-20, 2.0**24)
  def test_scaling_does_not_round(self, scale):
    state = loss_scaling.init(scale)
    value = tf.constant([1.25, -3.0])
    scaled = loss_scaling.scale(value, state)
    np.testing.assert_array_equal(
        loss_scaling.unscale([scaled], state)[0], value
    )

  def test_a_scaled_gradient_comes_back(self):
    state = loss_scaling.init(2.0**12)
    w = tf.constant([1e-6, 3.0], tf.float32)
    x = tf.constant([[1.0, 2e-3]])

    def gradient(scaled):
      with tf.GradientTape() as tape:
        tape.watch(w)
        # A gradient of 1e-8 is no float16; times 4096 it is.
        loss = tf.reduce_sum(tf.cast(tf.cast(w, tf.float16), tf.float32) * x)
        loss *= 1e-8
        loss = loss_scaling.scale(loss, state) if scaled else loss
      g = {'w': tape.gradient(loss, w)}
      return (loss_scaling.unscale(g, state) if scaled else g)['w'].numpy()

    self.assertEqual(gradient(scaled=False)[0], 0)
    np.testing.assert_allclose(gradient(scaled=True)[0], 1e-8, rtol=1e-3)

  @parameterized.parameters(np.inf, -np.inf, np.nan)
  def test_all_finite(self, value):
    good = {'a': tf.ones([2, 3]), 'b': [tf.zeros([]), tf.ones([0])]}
    self.assertTrue(loss_scaling.all_finite(good))
    bad = {**good, 'c': tf.constant([1.0, value])}
    self.assertFalse(loss_scaling.all_finite(bad))

  @parameterized.parameters(
      (65504.0, True),
      (-65504.0, True),
      (65536.0, False),
      (-65536.0, False),
      (np.inf, False),
      (np.nan, False),
  )
  def test_fits(self, value, expected):
    gradients = {'a': tf.ones([2, 3]), 'b': [tf.constant([0.0, value])]}
    self.assertEqual(bool(loss_scaling.fits(gradients)), expected)

  def test_the_state(self):
    state = loss_scaling.init()
    self.assertEqual((float(state.scale), int(state.good_steps)), (32768, 0))
    self.assertEqual([value.dtype for value in state], [tf.float32, tf.int64])
    adjusted = loss_scaling.adjust(state, tf.constant(True))
    self.assertEqual(
        [value.dtype for value in adjusted], [tf.float32, tf.int64]
    )
    self.assertEqual(int(adjusted.good_steps), 1)

  @parameterized.parameters(0.0, -1.0, 2.0**-127, 2.0**25, float('nan'))
  def test_a_wrong_scale(self, scale):
    with self.assertRaisesRegex(ValueError, f'scale: .*{scale}'):
      loss_scaling.init(scale)


if __name__ == '__main__':
  absltest.main()
