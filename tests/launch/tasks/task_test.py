"""Tests of launch.tasks.task: the defaults for a task of one's own."""

from __future__ import annotations

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, losses, metrics, objectives
from launch import tasks


def _task(**changes):
  model = layers.Dense(2, w_init=tf.ones)
  return tasks.Task(**{
      'model': model,
      'objective': objectives.supervised(losses.squared_error, inputs='x'),
      'train_metric': metrics.collection(
          {'mae': metrics.mean_absolute_error()}
      ),
      'example_batch': {
          'x': tf.zeros([1, 3]),
          'label': tf.zeros([1, 2]),
          'weight': tf.zeros([1]),
      },
      **changes,
  })


class TwoHeads(snt.Module):

  def __init__(self):
    super().__init__()
    self.size = layers.Dense(1, w_init=tf.ones)
    self.kind = layers.Dense(2, w_init=tf.ones)

  def __call__(self, inputs):
    return {'size': self.size(inputs)[:, 0], 'kind': self.kind(inputs)}


class TaskTest(parameterized.TestCase):

  def test_defaults(self):
    task = _task()
    self.assertIs(task.eval_metric, task.train_metric)
    self.assertEqual((task.monitor, task.direction), ('loss', 'min'))

  @parameterized.parameters(
      ({'monitor': 'mae'}, 'what is better for mae'),
      ({'direction': 'up'}, "expected 'max' or 'min'.*'up'"),
  )
  def test_direction(self, changes, message):
    with self.assertRaisesRegex(ValueError, message):
      _task(**changes)

  def test_report(self):
    report = _task().report({
        'loss': 0.25,
        'mae': 0.5,
        'each': np.array([1.0, 2.0]),
        'nest': {'a': np.array([[3]])},
    })
    cells = [line.split() for line in report.table.splitlines()]
    self.assertEqual(cells[2:], [['loss', '0.2500'], ['mae', '0.5000']])
    self.assertEqual(report.values, {'each': [1.0, 2.0], 'nest': {'a': [[3]]}})
    self.assertEmpty(report.figures)

  def test_predict_needs_no_label(self):
    x = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    columns = _task().predict({'x': x})
    np.testing.assert_allclose(columns['prediction'], [[6, 6], [15, 15]])

  def test_outputs_by_name(self):
    model = TwoHeads()
    task = _task(
        model=model,
        objective=objectives.supervised(
            {
                'size': losses.squared_error,
                'kind': losses.softmax_cross_entropy,
            },
            inputs='x',
            labels={'size': 'area', 'kind': 'label'},
        ),
        example_batch={
            'x': tf.zeros([1, 3]),
            'area': tf.zeros([1]),
            'label': tf.zeros([1], tf.int64),
        },
        targets=('label', 'area'),
    )
    columns = task.predict({'x': tf.ones([2, 3])})
    np.testing.assert_allclose(columns['size'], [3, 3])
    np.testing.assert_allclose(columns['kind'], [[3, 3], [3, 3]])
    self.assertEqual(list(task.export().signature), ['x'])

  def test_export(self):
    export = _task().export()
    self.assertEqual(
        export.signature, {'x': tf.TensorSpec([None, 3], name='x')}
    )
    outputs = tf.function(export.function)({'x': tf.ones([4, 3])})
    np.testing.assert_allclose(outputs['prediction'], np.full([4, 2], 3.0))
    with self.assertRaisesRegex(ValueError, 'no example_batch'):
      _task(example_batch=None).export()
    with self.assertRaisesRegex(ValueError, 'graph of its .* is a dict'):
      _task(example_batch={'graph': {'x': tf.zeros([1])}}).export()

  def test_an_objective_without_predictions(self):
    def objective(model, batch, seed, is_training):
      return objectives.Evaluation(tf.reduce_sum(model(batch['x']), axis=1))

    with self.assertRaisesRegex(ValueError, 'override predict'):
      _task(objective=objective).predict({'x': tf.ones([1, 3])})


if __name__ == '__main__':
  absltest.main()
