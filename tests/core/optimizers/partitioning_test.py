from __future__ import annotations

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers

WEIGHTS = {
    'head/w': tf.ones([2, 3]),
    'stem/b': tf.ones([2]),
    'stem/w': tf.ones([4, 2]),
}


class PartitioningTest(parameterized.TestCase):

  def test_the_first_mask_wins_and_owns_the_state(self):
    optimizer = optimizers.partition({
        'head/.*': optimizers.sgd(1.0, momentum=0.9),
        lambda path, tensor: tensor.shape.rank > 1: optimizers.adam(2.0),
        '.*': optimizers.sgd(3.0),
    })
    state = optimizer.init(WEIGHTS)
    first, second, third = state.inner_states
    self.assertEqual(list(first[0].trace), ['head/w'])
    self.assertEqual(list(second[0].mu), ['stem/w'])
    self.assertEqual(list(second[0].nu), ['stem/w'])
    self.assertEqual(third, ())
    updates, new_state = optimizer.update(WEIGHTS, state, WEIGHTS)
    tf.nest.assert_same_structure(state, new_state)
    actual = {
        k: (
            round(float(v[0, ...][..., 0]))
            if v.shape.rank > 1
            else round(float(v[0]))
        )
        for k, v in updates.items()
    }
    self.assertEqual(actual, {'head/w': -1, 'stem/b': -3, 'stem/w': -2})

  def test_a_norm_is_that_of_the_group(self):
    clip = optimizers.clip_by_global_norm(1.0)
    optimizer = optimizers.partition({'stem/.*': clip, '.*': clip})
    updates, _ = optimizer.update(WEIGHTS, optimizer.init(WEIGHTS), WEIGHTS)
    head, stem = updates['head/w'], (updates['stem/b'], updates['stem/w'])
    self.assertAlmostEqual(float(optimizers.global_norm(head)), 1, places=6)
    self.assertAlmostEqual(float(optimizers.global_norm(stem)), 1, places=6)

  @parameterized.named_parameters(
      ('adam', optimizers.adam(0.1)),
      ('clip', optimizers.clip_by_global_norm(1.0)),
      ('finite', optimizers.apply_if_finite(optimizers.adam(0.1), 1)),
      ('steps', optimizers.multi_steps(optimizers.muon(0.1), 2)),
  )
  def test_a_group_may_be_empty(self, optimizer):
    both = optimizers.partition({'no': optimizer, '.*': optimizers.sgd(1.0)})
    updates, _ = both.update(WEIGHTS, both.init(WEIGHTS), WEIGHTS)
    self.assertEqual(float(updates['stem/b'][0]), -1.0)

  def test_a_parameter_of_no_group_is_named(self):
    # A pattern matches the whole path: 'stem' alone matches neither.
    optimizer = optimizers.partition(
        {'head/w': optimizers.sgd(1.0), 'stem': optimizers.sgd(1.0)}
    )
    with self.assertRaisesRegex(ValueError, "^transforms: .*'stem/b'"):
      optimizer.init(WEIGHTS)

  def test_a_pattern_that_is_none_is_refused(self):
    for make in (
        lambda: optimizers.partition({'(': optimizers.sgd(1.0)}),
        lambda: optimizers.adamw(1.0, mask='('),
    ):
      with self.assertRaisesRegex(ValueError, r"^mask: '\('"):
        make()

  def test_masked_leaves_the_others_alone(self):
    optimizer = optimizers.masked(optimizers.sgd(0.5, 0.9), '.*/b')
    state = optimizer.init(WEIGHTS)
    self.assertLen(tf.nest.flatten(state), 1)
    updates, _ = optimizer.update(WEIGHTS, state, WEIGHTS)
    self.assertEqual(float(updates['stem/b'][0]), -0.5)
    self.assertEqual(float(updates['stem/w'][0, 0]), 1.0)


if __name__ == '__main__':
  absltest.main()
