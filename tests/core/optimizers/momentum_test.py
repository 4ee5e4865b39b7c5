from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers


def _updates(optimizer, gradients):
  weights = {'w': tf.constant(0.0)}
  state, updates = optimizer.init(weights), []
  for gradient in gradients:
    update, state = optimizer.update({'w': gradient}, state, weights)
    updates.append(float(update['w']))
  return updates, state


class MomentumTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('plain', {}, [-0.5, -1.0, 0.5]),
      # Sums: 1, 0.5 + 2, 1.25 - 1.
      ('momentum', {'momentum': 0.5}, [-0.5, -1.25, -0.125]),
      # Gradient + half the sum: 1.5, 3.25, -0.875.
      (
          'nesterov',
          {'momentum': 0.5, 'nesterov': True},
          [-0.75, -1.625, 0.4375],
      ),
  )
  def test_steps_by_hand(self, arguments, expected):
    updates, _ = _updates(optimizers.sgd(0.5, **arguments), [1.0, 2.0, -1.0])
    np.testing.assert_allclose(updates, expected, rtol=1e-6)

  def test_the_sum_rests_in_its_dtype(self):
    # 1 + 1 / 512 is 1 in bfloat16; the update is of before that.
    optimizer = optimizers.trace(0.5, accumulator_dtype=tf.bfloat16)
    updates, state = _updates(optimizer, [1 + 2**-9, 0.0])
    self.assertEqual(state.trace['w'].dtype, tf.bfloat16)
    self.assertEqual(updates, [1 + 2**-9, 0.5])


if __name__ == '__main__':
  absltest.main()
