"""Tests of the penalties on parameters."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_TENSORS = {
    'w': tf.constant([[1.0, -2.0], [0.5, 0.0]]),
    'b': (tf.Variable([3.0]),),
}


class PenaltiesTest(parameterized.TestCase):

  @parameterized.parameters(
      (losses.l1_penalty, {}, 6.5),
      (losses.l1_penalty, {'scale': 0.1}, 0.65),
      (losses.l2_penalty, {}, 14.25),
      (losses.l2_penalty, {'scale': 0.1}, 1.425),
  )
  def test_value(self, penalty, options, expected):
    for jit in (False, True):
      traced = tf.function(penalty, jit_compile=jit)
      value = traced(_TENSORS, **options)
      self.assertAlmostEqual(float(value), expected, places=5)
    value = penalty(_TENSORS, **options)
    self.assertAlmostEqual(float(value), expected, places=5)
    self.assertEqual(value.shape, [])

  @parameterized.parameters(losses.l1_penalty, losses.l2_penalty)
  def test_ends_of_the_range(self, penalty):
    self.assertEqual(float(penalty([])), 0.0)
    half = tf.ones([1000], tf.bfloat16)
    self.assertEqual(float(penalty(half)), 1000.0)
    with self.assertRaisesRegex(ValueError, 'scale'):
      penalty(_TENSORS, scale=-1.0)
    with self.assertRaisesRegex(TypeError, 'tensors'):
      penalty([tf.constant([1])])

  @parameterized.parameters(
      (losses.l1_penalty, lambda w: 0.3 * np.sign(w)),
      (losses.l2_penalty, lambda w: 0.6 * w),
  )
  def test_gradient(self, penalty, expected):
    w = _TENSORS['w']
    with tf.GradientTape() as tape:
      tape.watch(w)
      value = penalty(_TENSORS, scale=0.3)
    np.testing.assert_allclose(tape.gradient(value, w), expected(w), rtol=1e-6)


if __name__ == '__main__':
  absltest.main()
