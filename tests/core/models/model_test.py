"""Tests of what every model inherits."""

from __future__ import annotations

import tensorflow as tf
from absl.testing import absltest

from core import layers
from core.models import model as model_lib


class TwoHeads(model_lib.Model):
  """Two inputs, nested outputs."""

  input_names = ('a', 'b')

  def __init__(self):
    super().__init__()
    self.dense = layers.Dense(3)

  def __call__(self, inputs, is_training, seed=None):
    self.was_training = is_training
    return {
        'logits': self.dense(inputs['a']),
        'losses': {'b': tf.reduce_mean(inputs['b'], [1, 2])},
    }


class ModelTest(absltest.TestCase):

  def test_build_and_output_shape(self):
    model = TwoHeads()
    shapes = {'a': (None, 4), 'b': [7, 2, 5]}
    model.build(shapes)
    self.assertEqual(model.dense.linear.w.shape, [4, 3])
    self.assertFalse(model.was_training)
    self.assertEqual(
        model.output_shape(shapes),
        {'logits': (None, 3), 'losses': {'b': (None,)}},
    )
    self.assertLen(model.variables, 2)

  def test_an_unknown_size(self):
    with self.assertRaisesRegex(
        ValueError, r'input_shape: .*batch size.* got \(None, 2, None\)'
    ):
      TwoHeads().build({'a': (None, 4), 'b': (None, 2, None)})

  def test_a_forward_pass_is_needed(self):
    class Empty(model_lib.Model):
      """Has none."""

    with self.assertRaisesRegex(TypeError, 'Empty must implement __call__'):
      Empty().build((None, 2))

  def test_logits_and_flatten(self):
    x = tf.zeros([2, 3, 4])
    self.assertIs(model_lib.logits(x), x)
    self.assertIs(model_lib.logits({'logits': x, 'other': 1}), x)
    self.assertEqual(model_lib.flatten(x).shape, [2, 12])
    self.assertEqual(model_lib.flatten(x[:, 0]).shape, [2, 4])


if __name__ == '__main__':
  absltest.main()
