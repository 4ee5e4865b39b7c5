"""Tests of the model with two inputs, two outputs and a skip path."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import models, variables


def _inputs(seed=0, **changes):
  generator = np.random.default_rng(seed)
  inputs = {
      'projections': generator.normal(size=(3, 5)),
      'image': generator.normal(size=(3, 4, 4, 1)),
  }
  inputs.update(changes)
  return {name: tf.cast(value, tf.float32) for name, value in inputs.items()}


class WideAndDeepTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.model = models.create('wide_and_deep', 4, hidden_sizes=(8, 6))
    self.outputs = self.model(_inputs(), is_training=False)

  def test_shapes_and_names(self):
    self.assertEqual(self.model.input_names, ('projections', 'image'))
    self.assertEqual(self.model.head_weights.keys(), self.outputs.keys())
    self.assertEqual(
        {n: tuple(v.shape) for n, v in variables.named(self.model).items()},
        {
            'auxiliary_output/linear/b': (4,),
            'auxiliary_output/linear/w': (6, 4),
            'hidden/0/linear/b': (8,),
            'hidden/0/linear/w': (16, 8),
            'hidden/1/linear/b': (6,),
            'hidden/1/linear/w': (8, 6),
            'output/linear/b': (4,),
            'output/linear/w': (5 + 6, 4),
        },
    )

  def test_the_wide_input_skips_to_the_main_head_alone(self):
    wide = np.random.default_rng(1).normal(size=(3, 5))
    outputs = self.model(_inputs(projections=wide), is_training=False)
    np.testing.assert_array_equal(
        outputs['auxiliary_logits'], self.outputs['auxiliary_logits']
    )
    # The skip is linear: the change is the first five rows of the weights.
    change = (wide - _inputs()['projections']) @ self.model.output.linear.w[:5]
    np.testing.assert_allclose(
        outputs['logits'] - self.outputs['logits'], change, rtol=1e-4, atol=1e-5
    )

  def test_the_deep_input_reaches_both_heads(self):
    outputs = self.model(
        _inputs(image=np.ones([3, 4, 4, 1])), is_training=False
    )
    for head, logits in outputs.items():
      self.assertGreater(np.abs(logits - self.outputs[head]).max(), 1e-3, head)

  @parameterized.parameters(0.0, 0.25, 1.0)
  def test_weights_of_the_heads(self, weight):
    model = models.create('wide_and_deep', 4, auxiliary_weight=weight)
    self.assertEqual(
        model.head_weights, {'logits': 1 - weight, 'auxiliary_logits': weight}
    )

  def test_names_of_the_inputs_are_arguments(self):
    model = models.create(
        'wide_and_deep', 4, wide_input='pixels', deep_input='crop'
    )
    model.build({'crop': (None, 2), 'pixels': (None, 3)})
    self.assertEqual(model.hidden[0].linear.w.shape[0], 2)
    self.assertEqual(model.output.linear.w.shape[0], 3 + 100)

  @parameterized.parameters(
      ({'auxiliary_weight': -0.1}, 'auxiliary_weight: .*-0.1'),
      ({'auxiliary_weight': 1.1}, 'auxiliary_weight: .*1.1'),
      ({'wide_input': 'image'}, "wide_input: 'image' is the deep input"),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      models.create('wide_and_deep', 4, **arguments)

  def test_a_missing_input(self):
    with self.assertRaisesRegex(
        ValueError, r'inputs: .*projections.*image.*got.*image'
    ):
      self.model({'image': _inputs()['image']}, is_training=False)


if __name__ == '__main__':
  absltest.main()
