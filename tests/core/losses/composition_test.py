"""Tests of losses made of named losses."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_LABELS, _PREDICTIONS = np.array([[1.0, 2.0, 3.0], [0.0, 4.0, 3.0]], np.float32)


def _ramp(step):
  return tf.minimum(tf.cast(step, tf.float32) / 10, 1.0)


class CompositionTest(parameterized.TestCase):

  @parameterized.product(step=(0, 5, 20), jit=(None, False, True))
  def test_weights_may_be_schedules(self, step, jit):
    loss = losses.compose(
        {'l1': losses.absolute_error, 'l2': losses.squared_error},
        {'l1': 0.5, 'l2': _ramp},
    )
    if jit is not None:
      loss = tf.function(loss, jit_compile=jit)
    l2 = min(step / 10, 1.0)
    np.testing.assert_allclose(
        loss(_LABELS, _PREDICTIONS, step=tf.constant(step, tf.int64)),
        [0.5 + l2, 1.0 + 4 * l2, 0.0],
    )

  def test_takes_nests(self):
    loss = losses.compose({
        'class': lambda y, x: losses.softmax_cross_entropy(y[0], x['logits']),
        'size': lambda y, x: losses.squared_error(y[1], x['size']),
    })
    value = loss(([0], [3.0]), {'logits': [[0.0, 0.0]], 'size': [1.0]})
    np.testing.assert_allclose(value, [np.log(2) + 4], rtol=1e-6)

  def test_weight_0_leaves_out_what_is_not_finite(self):
    x = tf.constant([-1.0, 0.0])
    with tf.GradientTape() as tape:
      tape.watch(x)
      values = {'log': tf.math.log(x), 'x': x}
      total = losses.weighted_sum(values, {'log': _ramp}, step=0)
    np.testing.assert_array_equal(total, x)
    with tf.GradientTape() as tape:
      bad = tf.constant([np.inf, np.nan])
      tape.watch(bad)
      total = losses.weighted_sum({'bad': bad}, {'bad': 0.0})
    np.testing.assert_array_equal(tape.gradient(total, bad), [0, 0])

  def test_penalties(self):
    total = losses.weighted_sum(
        {'l2': losses.l2_penalty([[3.0]]), 'l1': losses.l1_penalty([[3.0]])},
        {'l2': 2.0},
    )
    self.assertEqual(float(total), 21.0)

  def test_bad_calls(self):
    parts = {'l1': losses.absolute_error, 'l2': losses.squared_error}
    with self.assertRaisesRegex(ValueError, "weights: .*'l3'.*l1, l2"):
      losses.compose(parts, {'l3': 1.0})
    with self.assertRaisesRegex(ValueError, 'losses'):
      losses.compose({})
    with self.assertRaisesRegex(ValueError, "step: .*'l2'"):
      losses.compose(parts, {'l2': _ramp})(_LABELS, _PREDICTIONS)
    with self.assertRaisesRegex(ValueError, 'values'):
      losses.weighted_sum({})
    with self.assertRaisesRegex(ValueError, "weights: .*'b'"):
      losses.weighted_sum({'a': 1.0}, {'b': 1.0})
    with self.assertRaisesRegex(ValueError, 'b: .*shape of a'):
      losses.weighted_sum({'a': [1.0], 'b': [1.0, 2.0]})


if __name__ == '__main__':
  absltest.main()
