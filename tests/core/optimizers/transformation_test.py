from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers, schedules
from core.optimizers import nests

WEIGHTS = {'b': tf.constant([1.0, 2.0]), 'w': tf.ones([3, 2])}


class TransformationTest(parameterized.TestCase):

  def test_chain_applies_in_order(self):
    clip, double = optimizers.clip(1.0), optimizers.scale(2.0)
    gradients = {'b': tf.constant([3.0, 0.25]), 'w': -3 * tf.ones([3, 2])}
    for first, second, expected in (
        (clip, double, [2.0, 0.5]),
        (double, clip, [1.0, 0.5]),
    ):
      optimizer = optimizers.chain(first, second)
      updates, state = optimizer.update(
          gradients, optimizer.init(WEIGHTS), WEIGHTS
      )
      np.testing.assert_array_equal(updates['b'], expected)
      self.assertEqual(state, ((), ()))

  def test_a_schedule_sees_the_count_from_0(self):
    optimizer = optimizers.sgd(schedules.piecewise_constant(1.0, {1: 0.5}))
    state = optimizer.init(WEIGHTS)
    for count, expected in enumerate((-1.0, -0.5, -0.5)):
      self.assertEqual(state.count.dtype, tf.int64)
      self.assertEqual(int(state.count), count)
      updates, state = optimizer.update(WEIGHTS, state, WEIGHTS)
      self.assertEqual(float(updates['b'][0]), expected)

  def test_global_norm_is_that_of_all_elements(self):
    nest = {'a': [3.0, 0.0], 'b': (tf.constant(4.0, tf.bfloat16), [[12.0]])}
    self.assertEqual(float(optimizers.global_norm(nest)), 13.0)
    self.assertEqual(float(optimizers.global_norm({})), 0.0)

  def test_apply_updates_rounds_once_to_the_dtype_of_the_parameter(self):
    # In steps of 2, 257.0078 is 258, but 256 + 1 would be even 256.
    weight = tf.Variable(256.0, dtype=tf.bfloat16)
    new = optimizers.apply_updates({'w': weight}, {'w': tf.constant(1.0078125)})
    self.assertEqual(new['w'].dtype, tf.bfloat16)
    self.assertEqual(float(new['w']), 258.0)
    self.assertEqual(float(weight), 256.0)

  def test_gradients_that_do_not_fit_are_refused_by_name(self):
    optimizer = optimizers.sgd(0.1)
    state = optimizer.init(WEIGHTS)
    for gradients, message in (
        ({'b': WEIGHTS['b'], 'w': None}, "gradients: 'w' is None"),
        ({'b': WEIGHTS['b']}, r"gradients: .*\['w'\]"),
        ({'b': WEIGHTS['w'], 'w': WEIGHTS['w']}, "gradients: 'b' has shape"),
    ):
      with self.assertRaisesRegex(ValueError, message):
        optimizer.update(gradients, state, WEIGHTS)

  def test_paths_follow_the_order_of_flatten(self):
    nest = {
        'layers': [{'w': 0, 'b': 1}, {'w': 2, 'b': 3}],
        'head': (4, {'w': 5}),
        'a/flat/key': 6,
    }
    expected = {
        'a/flat/key': 6,
        'head/0': 4,
        'head/1/w': 5,
        'layers/0/b': 1,
        'layers/0/w': 0,
        'layers/1/b': 3,
        'layers/1/w': 2,
    }
    named = dict(zip(nests.paths(nest), tf.nest.flatten(nest)))
    self.assertEqual(named, expected)

  def test_nested_parameters_give_nested_updates(self):
    nest = [{'w': tf.constant(1.0)}, (tf.constant(2.0), tf.constant(3.0))]
    optimizer = optimizers.partition({
        '0/.*': optimizers.adam(1.0),
        '1/1': optimizers.sgd(1.0),
        '.*': optimizers.adafactor(1.0),
    })
    updates, _ = optimizer.update(nest, optimizer.init(nest), nest)
    tf.nest.assert_same_structure(nest, updates)
    np.testing.assert_allclose(
        tf.nest.flatten(updates), [-1.0, -2.0, -3.0], rtol=1e-5
    )


if __name__ == '__main__':
  absltest.main()
