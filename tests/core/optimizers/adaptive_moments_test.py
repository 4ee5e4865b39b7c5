from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers


class AdaptiveMomentsTest(parameterized.TestCase):

  def test_two_steps_of_adam_by_hand(self):
    optimizer = optimizers.adam(0.1, b1=0.5, b2=0.75, eps=0.25)
    weights = {'w': tf.constant([1.0, 1.0])}
    state = optimizer.init(weights)
    first, state = optimizer.update(
        {'w': tf.constant([2.0, -4.0])}, state, weights
    )
    second, state = optimizer.update(
        {'w': tf.constant([6.0, 0.0])}, state, weights
    )
    # After one step the corrected moments are g and g ** 2.
    np.testing.assert_allclose(
        first['w'], [-0.1 * 2 / 2.25, 0.1 * 4 / 4.25], rtol=1e-6
    )
    # Means: (0.25 g1 + 0.5 g2) / 0.75; squares: (3 g1^2 + 4 g2^2) / 7.
    np.testing.assert_allclose(
        second['w'],
        [
            -0.1 * (3.5 / 0.75) / (math.sqrt((12 + 144) / 7) + 0.25),
            0.1 * (1 / 0.75) / (math.sqrt(48 / 7) + 0.25),
        ],
        rtol=1e-6,
    )
    self.assertEqual(int(state[0].count), 2)

  def test_decay_is_apart_from_the_moments(self):
    weights = {'b': tf.constant(4.0), 'w': tf.constant(4.0)}
    gradients = {'b': tf.constant(0.0), 'w': tf.constant(0.0)}
    for mask in ('w', lambda path, tensor: path == 'w'):
      optimizer = optimizers.adamw(0.5, weight_decay=0.25, mask=mask)
      state = optimizer.init(weights)
      updates, state = optimizer.update(gradients, state, weights)
      self.assertEqual(float(updates['w']), -0.5)
      self.assertEqual(float(updates['b']), 0.0)
      self.assertEqual(float(state[0].nu['w']), 0.0)

  @parameterized.named_parameters(
      ('adam', optimizers.adam(0.1, mu_dtype=tf.bfloat16)),
      ('adamw', optimizers.adamw(0.1, mu_dtype=tf.bfloat16)),
      ('nadam', optimizers.nadam(0.1, mu_dtype=tf.bfloat16)),
  )
  def test_the_mean_rests_in_its_dtype(self, optimizer):
    weights = {'w': tf.constant([1.0, 3.0])}
    state = optimizer.init(weights)
    updates, state = optimizer.update(weights, state, weights)
    self.assertEqual(state[0].mu['w'].dtype, tf.bfloat16)
    self.assertEqual(state[0].nu['w'].dtype, tf.float32)
    self.assertEqual(updates['w'].dtype, tf.float32)


if __name__ == '__main__':
  absltest.main()
