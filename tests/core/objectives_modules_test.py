"""Tests of the supervised objective of any module, and of several outputs."""

from __future__ import annotations

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses, objectives, precision

_X = tf.constant([[1.0, 2.0], [3.0, 4.0]])
_BATCH = {'x': _X, 'label': tf.constant([[1.0, 1.0], [1.0, 0.0]])}


class _Plain(tf.Module):

  def __call__(self, x):
    return 2.0 * x


class _Training(tf.Module):

  def __call__(self, x, is_training):
    return x + 1.0 if is_training else x


class _Noisy(tf.Module):

  def __call__(self, x, *, seed):
    return x if seed is None else x + tf.cast(seed[1], x.dtype)


class _Heads(snt.Module):

  def __call__(self, x):
    return {'one': x[:, 0], 'two': x, 'three': tf.stack([x, x + 1.0], axis=1)}


def _own_loss(labels, predictions):
  return predictions - labels


class ModulesTest(parameterized.TestCase):

  @parameterized.parameters(
      (_Plain(), 2.0 * _X),
      (_Training(), _X + 1.0),
      (_Noisy(), _X + 5.0),
      (snt.Sequential([tf.tanh]), tf.tanh(_X)),
  )
  def test_is_called_as_its_signature_says(self, model, expected):
    objective = objectives.supervised(losses.squared_error, inputs='x')
    seed = tf.constant([0, 5])
    for each in (model, precision.autocast(model)):
      evaluation = objective(each, _BATCH, seed, is_training=True)
      np.testing.assert_allclose(evaluation.predictions, expected, rtol=0.01)

  @parameterized.parameters(None, 0.5)
  def test_a_perceptron_of_sonnet(self, dropout_rate):
    model = snt.nets.MLP(
        [3, 2], tf.ones_initializer(), dropout_rate=dropout_rate
    )
    objective = objectives.supervised(losses.squared_error, inputs='x')
    expected = model(_X, *([] if dropout_rate is None else [False]))
    for each in (model, precision.autocast(model)):
      evaluation = objective(each, _BATCH, tf.constant([0, 5]), False)
      np.testing.assert_allclose(evaluation.predictions, expected, rtol=0.02)

  def test_labels(self):
    for labels in ('x', lambda batch: batch['x']):
      evaluation = objectives.supervised(
          losses.squared_error, inputs='x', labels=labels
      )(_Plain(), {'x': _X}, None, False)
      np.testing.assert_allclose(evaluation.values, [2.5, 12.5])
      self.assertIs(evaluation.labels, _X)

  @parameterized.named_parameters(
      ('inputs', {'inputs': 'y'}, "inputs: the batch has no 'y', only x, lab"),
      ('image', {}, "inputs: the batch has no 'image'"),
      ('labels', {'inputs': 'x', 'labels': 'y'}, 'labels: the batch has no'),
  )
  def test_what_a_batch_has_not(self, options, message):
    objective = objectives.supervised(losses.squared_error, **options)
    with self.assertRaisesRegex(ValueError, message):
      objective(_Plain(), _BATCH, None, False)


class HeadsTest(parameterized.TestCase):

  def test_by_hand(self):
    batch = {
        'x': _X,
        'label': {'one': tf.constant([0.0, 1.0]), 'three': tf.zeros([2, 2, 2])},
        'other': tf.ones([2, 2]),
    }
    evaluation = objectives.supervised(
        {
            'one': _own_loss,
            'two': losses.squared_error,
            'three': lambda y, p: tf.reduce_sum(p - y, axis=-1),
        },
        inputs='x',
        labels={'two': 'other', 'three': lambda b: b['label']['three'] + 1.0},
        weights={'two': 10.0},
    )(_Heads(), batch, None, True)
    one = np.array([1.0, 2.0])
    two = np.array([0.5, 6.5])
    three = np.array([2.0, 6.0])  # The mean of two places: 1 and 3, 5 and 7.
    np.testing.assert_allclose(evaluation.values, one + 10 * two + three)
    self.assertEqual(list(evaluation.predictions), ['one', 'two', 'three'])
    self.assertIs(evaluation.labels['two'], batch['other'])
    self.assertIs(evaluation.labels['one'], batch['label']['one'])

  def test_places_are_kept_where_all_have_them(self):
    evaluation = objectives.supervised(
        {'two': _own_loss}, inputs='x', labels='x'
    )(_Heads(), {'x': _X}, None, True)
    np.testing.assert_array_equal(evaluation.values, tf.zeros([2, 2]))

  @parameterized.named_parameters(
      ('weights', {'weights': {'four': 1.0}}, "weights: unknown 'four'"),
      ('labels', {'labels': {'four': 'x'}}, "labels: unknown 'four'"),
  )
  def test_names_without_a_loss(self, options, message):
    with self.assertRaisesRegex(ValueError, message):
      objectives.supervised({'one': _own_loss}, **options)

  def test_weights_of_one_loss(self):
    with self.assertRaisesRegex(ValueError, 'with a single loss'):
      objectives.supervised(_own_loss, weights={'one': 1.0})

  def test_an_output_that_is_not_there(self):
    objective = objectives.supervised({'four': _own_loss}, inputs='x')
    with self.assertRaisesRegex(ValueError, "'four'; it has one, two, three"):
      objective(_Heads(), _BATCH, None, True)
    with self.assertRaisesRegex(ValueError, "'four'; it has logits"):
      objective(_Plain(), _BATCH, None, True)


if __name__ == '__main__':
  absltest.main()
