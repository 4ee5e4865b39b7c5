"""Tests of the losses of embeddings."""

from __future__ import annotations

import numpy as np
import optax
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_A, _B, _C = np.random.default_rng(0).normal(size=(3, 6, 4)).astype(np.float32)


class EmbeddingsTest(parameterized.TestCase):

  def test_cosine_distance_equals_optax(self):
    np.testing.assert_allclose(
        losses.cosine_distance(_A, _B),
        optax.losses.cosine_distance(_B, _A),
        rtol=1e-5,
    )

  def test_cosine_distance_of_zero(self):
    zeros = tf.zeros([1, 4])
    self.assertEqual(float(losses.cosine_distance(_A[:1], zeros)[0]), 1.0)

  def test_euclidean_distance(self):
    np.testing.assert_allclose(
        losses.euclidean_distance(_A, _B),
        np.linalg.norm(_A - _B, axis=1),
        rtol=1e-6,
    )

  def test_distance_of_equals_has_gradient_0(self):
    vectors = tf.constant(_A)
    with tf.GradientTape() as tape:
      tape.watch(vectors)
      value = losses.total(losses.euclidean_distance(_A, vectors))
    np.testing.assert_array_equal(tape.gradient(value, vectors), 0 * _A)

  def test_contrastive(self):
    np.testing.assert_allclose(
        losses.contrastive(
            [1, 1, 0, 0, 0.5], [0.0, 3.0, 0.5, 9.0, 1.0], margin=2.0
        ),
        [0.0, 9.0, 2.25, 0.0, 1.0],
        rtol=1e-6,
    )

  @parameterized.parameters(0.0, 1.0, 2.5)
  def test_triplet_margin_equals_optax(self, margin):
    np.testing.assert_allclose(
        losses.triplet_margin_loss(_A, _B, _C, margin=margin),
        optax.losses.triplet_margin_loss(_A, _B, _C, margin=margin),
        rtol=1e-4,
        atol=1e-5,
    )

  @parameterized.parameters(np.float64, np.int64)
  def test_labels_are_not_rounded_before_a_difference(self, dtype):
    near = np.array([[2**25 + 1, 0]], dtype)  # float32 does not hold it.
    x, far = np.float32([[[2**25, 0]], [[2**25 + 8, 0]]])
    np.testing.assert_allclose(losses.euclidean_distance(near, x), [1.0])
    for triplet, expected in (((x, near, far), 1.0), ((x, far, near), 15.0)):
      np.testing.assert_allclose(
          losses.triplet_margin_loss(*triplet, margin=8.0), [expected]
      )

  def test_bad_calls(self):
    for distance in (losses.cosine_distance, losses.euclidean_distance):
      with self.assertRaisesRegex(ValueError, 'labels'):
        distance(_A[:1], _B)
      with self.assertRaisesRegex(ValueError, 'predictions'):
        distance(_A[0], _B[0])
    with self.assertRaisesRegex(ValueError, 'margin'):
      losses.contrastive([1], [1.0], margin=-1.0)
    with self.assertRaisesRegex(ValueError, 'distances'):
      losses.contrastive(_A > 0, _A)
    with self.assertRaisesRegex(ValueError, 'margin'):
      losses.triplet_margin_loss(_A, _B, _C, margin=-1.0)
    with self.assertRaisesRegex(ValueError, 'positives'):
      losses.triplet_margin_loss(_A, _B[:2], _C)
    with self.assertRaisesRegex(ValueError, 'negatives'):
      losses.triplet_margin_loss(_A, _B, _C[:2])
    with self.assertRaisesRegex(ValueError, 'anchors'):
      losses.triplet_margin_loss(_A[0], _B[0], _C[0])


if __name__ == '__main__':
  absltest.main()
