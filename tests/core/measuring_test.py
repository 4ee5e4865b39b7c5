"""Tests of what a replica's part of a batch adds to a step's sums."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import measuring, metrics, objectives, optimizers, training

_NAN, _INF = float('nan'), float('inf')


def _objective(model, batch, seed, is_training):
  """The square of what a linear model is off by."""
  del seed, is_training
  values = tf.square(tf.linalg.matvec(batch['input'], model.w) - batch['label'])
  return objectives.Evaluation(values, batch['label'], tf.zeros([]))


class GarbageTest(parameterized.TestCase, tf.test.TestCase):

  def test_garbage_of_weight_0_is_0_and_all_else_stays(self):
    indices = tf.constant([[0, 0]], tf.int64)
    sparse = tf.SparseTensor(indices, tf.constant([1.0]), [2, 2])
    batch = measuring.without_garbage({
        'image': tf.constant([[_NAN, 1.0], [_NAN, 2.0], [_INF, 3.0]]),
        'nested': {'half': tf.constant([_NAN, -_INF, 5.0], tf.float16)},
        'label': tf.constant([_NAN, 1.0, 4.0]),
        'bytes': tf.constant([7, 8, 9], tf.uint8),
        'table': tf.constant([[[_NAN]]]),  # Of one row, not one per example.
        'scalar': tf.constant(_NAN),
        'sparse': sparse,
        'weight': tf.constant([1.0, 0.0, 0.0]),
    })
    self.assertAllEqual(batch['image'], [[_NAN, 1.0], [0.0, 2.0], [0.0, 3.0]])
    self.assertAllEqual(batch['nested']['half'], [_NAN, 0.0, 5.0])
    self.assertAllEqual(batch['label'], [_NAN, 1.0, 4.0])
    self.assertAllEqual(batch['bytes'], [7, 0, 0])  # Eagerly alone.
    self.assertAllEqual(batch['table'], [[[_NAN]]])
    self.assertAllEqual(batch['scalar'], _NAN)
    self.assertAllEqual(batch['sparse'].values, [1.0])
    self.assertEqual(batch['sparse'].shape, [2, 2])
    self.assertAllEqual(batch['weight'], [1.0, 0.0, 0.0])

  def test_what_is_no_row_per_example_is_not_broadcast_in_a_graph(self):
    specs = [tf.TensorSpec([None]), tf.TensorSpec([None, None])]

    @tf.function(input_signature=specs, autograph=False)
    def cleared(weight, image):
      batch = {'weight': weight, 'image': image}
      return measuring.without_garbage(batch)['image']

    self.assertAllEqual(
        cleared(tf.constant([0.0, 1.0]), tf.constant([[_NAN], [1.0]])),
        [[0.0], [1.0]],
    )
    with self.assertRaises(tf.errors.InvalidArgumentError):
      cleared(tf.constant([0.0, 1.0]), tf.constant([[_NAN]]))

  @parameterized.parameters(_NAN, _INF, -_INF)
  def test_a_step_takes_it_for_zeros_to_the_bit(self, rubbish):
    results = []
    for value in (0.0, rubbish):
      model = tf.Module()
      model.w = tf.Variable([1.0, -2.0])
      optimizer, metric = optimizers.adam(0.1), metrics.mean()
      state = training.TrainState(model, optimizer)
      step = training.make_train_step(_objective, optimizer, metric)
      sums = step(
          state,
          {
              'input': tf.constant([[1.0, 2.0], [value, 3.0], [0.5, value]]),
              'label': tf.constant([0.5, value, value]),
              'weight': tf.constant([1.0, 0.0, 0.0]),
          },
      )
      results.append([model.w.numpy(), sums['loss'].numpy()])
    self.assertTrue(np.isfinite(results[0][0]).all())
    for expected, actual in zip(*results, strict=True):
      np.testing.assert_array_equal(actual, expected)


if __name__ == '__main__':
  absltest.main()
