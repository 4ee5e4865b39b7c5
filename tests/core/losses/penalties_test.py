"""Tests of the penalties on parameters."""

from __future__ import annotations

import keras
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

  def test_elastic_net_equals_keras(self):
    w = _TENSORS['w']
    value = losses.elastic_net_penalty([w], l1=0.3, l2=0.7)
    np.testing.assert_allclose(
        value, keras.regularizers.L1L2(l1=0.3, l2=0.7)(w), rtol=1e-6
    )
    with self.assertRaisesRegex(ValueError, 'l1'):
      losses.elastic_net_penalty([w], l1=-1.0, l2=1.0)
    with self.assertRaisesRegex(ValueError, 'l2'):
      losses.elastic_net_penalty([w], l1=1.0, l2=-1.0)

  @parameterized.parameters(((5, 3),), ((3, 5),), ((3, 3, 2, 4),))
  def test_orthogonality(self, shape):
    w = np.random.default_rng(0).normal(size=shape)
    matrix = w.reshape(-1, shape[-1])
    if matrix.shape[0] < matrix.shape[1]:
      matrix = matrix.T
    gram = matrix.T @ matrix - np.eye(matrix.shape[1])
    np.testing.assert_allclose(
        losses.orthogonality_penalty([w], scale=0.1),
        0.1 * np.sum(gram**2),
        rtol=1e-6,
    )
    q, _ = np.linalg.qr(matrix)
    self.assertAlmostEqual(float(losses.orthogonality_penalty(q)), 0.0)
    self.assertAlmostEqual(float(losses.orthogonality_penalty(q.T)), 0.0)

  def test_orthogonality_at_ends_of_the_range(self):
    self.assertEqual(float(losses.orthogonality_penalty([])), 0.0)
    with self.assertRaisesRegex(ValueError, 'tensors: .*matrices'):
      losses.orthogonality_penalty([tf.ones([3])])
    with self.assertRaisesRegex(ValueError, 'scale'):
      losses.orthogonality_penalty([tf.eye(3)], scale=-1.0)


if __name__ == '__main__':
  absltest.main()
