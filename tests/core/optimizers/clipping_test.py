from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers

GRADIENTS = {'b': tf.constant([0.3, -0.4]), 'w': tf.constant([[6.0, -8.0]])}


def _clipped(transform, gradients=GRADIENTS):
  updates, _ = transform.update(gradients, (), gradients)
  return updates


class ClippingTest(parameterized.TestCase):

  def test_by_value(self):
    clipped = _clipped(optimizers.clip(0.35))
    np.testing.assert_allclose(clipped['b'], [0.3, -0.35])
    np.testing.assert_allclose(clipped['w'], [[0.35, -0.35]])

  def test_by_norm_of_each(self):
    clipped = _clipped(optimizers.clip_by_norm(5.0))
    np.testing.assert_array_equal(clipped['b'], GRADIENTS['b'])
    np.testing.assert_allclose(clipped['w'], [[3.0, -4.0]])

  @parameterized.parameters(0.5, 5.0, 1000.0)
  def test_by_global_norm_is_tensorflow_s(self, norm):
    clipped = _clipped(optimizers.clip_by_global_norm(norm))
    expected, _ = tf.clip_by_global_norm(list(GRADIENTS.values()), norm)
    for actual, other in zip(clipped.values(), expected):
      np.testing.assert_allclose(actual, other, rtol=1e-6)

  def test_by_block_rms(self):
    clipped = _clipped(optimizers.clip_by_block_rms(1.0))
    np.testing.assert_array_equal(clipped['b'], GRADIENTS['b'])
    self.assertAlmostEqual(float(tf.norm(clipped['w'])), 2**0.5, places=5)

  @parameterized.named_parameters(
      ('clip', optimizers.clip(1.0)),
      ('norm', optimizers.clip_by_norm(1.0)),
      ('global_norm', optimizers.clip_by_global_norm(1.0)),
      ('block_rms', optimizers.clip_by_block_rms(1.0)),
      ('adaptive', optimizers.adaptive_grad_clip(0.1)),
  )
  def test_zero_stays_zero(self, transform):
    zeros = tf.nest.map_structure(tf.zeros_like, GRADIENTS)
    for tensor in _clipped(transform, zeros).values():
      np.testing.assert_array_equal(tensor, np.zeros_like(tensor))

  def test_adaptive_limits_each_unit_by_its_weights(self):
    weights = {'w': tf.constant([[3.0, 0.0], [4.0, 0.0]])}
    gradients = {'w': tf.constant([[0.0, 30.0], [10.0, 40.0]])}
    transform = optimizers.adaptive_grad_clip(0.1, eps=0.01)
    clipped, _ = transform.update(gradients, (), weights)
    # The columns' norms are 5 and, of weights at zero, 0.01.
    np.testing.assert_allclose(
        clipped['w'], [[0.0, 0.0006], [0.5, 0.0008]], rtol=1e-6
    )

  def test_adaptive_asks_for_axes_of_unusual_ranks(self):
    cube = {'w': tf.ones([2] * 6)}
    with self.assertRaisesRegex(ValueError, '^axis: .*rank 6'):
      _clipped(optimizers.adaptive_grad_clip(0.1), cube)
    _clipped(optimizers.adaptive_grad_clip(0.1, axis=range(5)), cube)


if __name__ == '__main__':
  absltest.main()
