"""Tests of the supervised objective, weighted by hand."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses, models, objectives

_LABELS = tf.constant([0, 1, 1])


def _loss(labels, logits):
  """A loss that is easy to follow: the label's own logit."""
  return tf.gather(logits, labels, batch_dims=1)


class Fixed(models.Model):
  """Returns what it was made with and remembers how it was called."""

  def __init__(self, outputs, head_weights=None):
    super().__init__()
    self.outputs = outputs
    self.w = tf.Variable(3.0)
    if head_weights:
      self.head_weights = head_weights

  def __call__(self, inputs, is_training, seed=None):
    self.called_with = (inputs, is_training, seed)
    return self.outputs


class SupervisedTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.logits = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    self.batch = {'image': tf.ones([3, 2]), 'label': _LABELS}

  def test_logits(self):
    model = Fixed(self.logits)
    seed = tf.constant([1, 2])
    evaluation = objectives.supervised(_loss)(model, self.batch, seed, True)
    np.testing.assert_array_equal(evaluation.values, [1.0, 4.0, 6.0])
    self.assertIs(evaluation.predictions, self.logits)
    self.assertEqual(float(evaluation.penalty), 0.0)
    self.assertEqual(evaluation.penalty.shape, [])
    self.assertIs(model.called_with[0], self.batch['image'])
    self.assertEqual(model.called_with[1:], (True, seed))

  def test_heads_losses_from_inside_and_penalty(self):
    model = Fixed(
        {
            'logits': self.logits,
            'side': 10 * self.logits,
            'unscored': tf.zeros([3, 9]),
            'losses': {
                'one': tf.constant([0.5, 0.0, 0.25], tf.bfloat16),
                'two': tf.constant([0.0, 100.0, 0.0]),
            },
        },
        head_weights={'logits': 0.75, 'side': 0.5},
    )
    objective = objectives.supervised(
        _loss, penalty=lambda model: losses.l2_penalty(model.w, scale=2.0)
    )
    evaluation = objective(model, self.batch, None, False)
    # 0.75 v + 0.5 * 10 v + one + two, for v = 1, 4, 6.
    np.testing.assert_allclose(evaluation.values, [6.25, 123.0, 34.75])
    self.assertEqual(evaluation.values.dtype, tf.float32)
    self.assertEqual(float(evaluation.penalty), 18.0)
    self.assertIs(evaluation.predictions, self.logits)
    self.assertEqual(model.called_with[1:], (False, None))

  def test_inputs_are_a_function_of_the_batch(self):
    model = Fixed(self.logits)
    inputs = lambda batch: {'twice': 2 * batch['image']}
    objectives.supervised(_loss, inputs=inputs)(model, self.batch, None, False)
    np.testing.assert_array_equal(
        model.called_with[0]['twice'], 2 * np.ones([3, 2])
    )

  def test_values_are_float32_whatever_the_precision_of_the_model(self):
    model = Fixed(tf.cast(self.logits, tf.bfloat16))
    objective = objectives.supervised(losses.softmax_cross_entropy)
    evaluation = objective(model, self.batch, None, False)
    self.assertEqual(evaluation.values.dtype, tf.float32)

  @parameterized.parameters('reduced', 'unreduced')
  def test_a_loss_that_is_not_one_value_an_example(self, kind):
    loss = {
        'reduced': lambda labels, logits: tf.reduce_mean(logits),
        'unreduced': lambda labels, logits: logits,
    }[kind]
    with self.assertRaisesRegex(ValueError, 'loss: '):
      objectives.supervised(loss)(Fixed(self.logits), self.batch, None, False)

  def test_class_weights_and_smoothing_reach_the_loss(self):
    loss = functools.partial(
        losses.softmax_cross_entropy,
        class_weights=[1.0, 3.0],
        label_smoothing=0.2,
    )
    model = Fixed(tf.zeros([3, 2]))
    evaluation = objectives.supervised(loss)(model, self.batch, None, True)
    # -log(1/2), times the weight of the class.
    np.testing.assert_allclose(
        evaluation.values, np.log(2) * np.array([1, 3, 3]), rtol=1e-6
    )


if __name__ == '__main__':
  absltest.main()
