"""Tests of launch.tasks.regression.

Covers: columns, quantiles, scatter.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from launch import programs
from launch.tasks import columns
from pipelines import spec as spec_lib
from tests.launch.tasks import training

_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=[64, 3]).astype(np.float32)
# A price, far from 0 and from 1.
_PRICE = (200_000 + 50_000 * _X @ [1.0, -2.0, 0.5]).astype(np.float32)
_AGE = (40 + 10 * _X[:, 0]).astype(np.float32)


def _data(labels, columns=()):
  labels = np.asarray(labels)
  return training.data_of(
      {
          'numbers': spec_lib.Feature('numbers', (3,), 'float32'),
          'label': spec_lib.Feature(
              'numbers', labels.shape[1:], 'float32', columns=columns
          ),
      },
      target_mean=tuple(np.atleast_1d(labels.mean(0)).tolist()),
      target_std=tuple(np.atleast_1d(labels.std(0)).tolist()),
  )


class RegressionTest(parameterized.TestCase):

  @parameterized.parameters(
      (None, {}), ('absolute_error', {}), ('huber', {'delta': 0.5})
  )
  def test_a_line_is_learned(self, loss, loss_arg):
    """In whatever unit; the mean is far worse."""
    task = training.make(_data(_PRICE), loss=loss, loss_arg=loss_arg)
    values = training.train(task, {'numbers': _X, 'label': _PRICE})
    self.assertGreater(values['r2'], 0.95)
    self.assertLess(values['rmse'], 0.3 * values['baseline_rmse'])
    self.assertAlmostEqual(values['baseline_rmse'] / _PRICE.std(), 1, places=3)
    predicted = task.predict({'numbers': _X})['prediction'].numpy()
    np.testing.assert_allclose(
        values['rmse'], np.sqrt(np.mean((predicted - _PRICE) ** 2)), rtol=1e-3
    )
    np.testing.assert_allclose(
        values['mae'], np.mean(np.abs(predicted - _PRICE)), rtol=1e-3
    )
    report = task.report(values)
    self.assertIn('the mean in training', report.table)
    self.assertEqual(np.sum(report.values['counts']), 64)
    figure = report.figures['predictions.png']()
    self.assertEqual(figure.axes[0].get_xlabel(), 'label')

  def test_several_by_name(self):
    labels = np.stack([_PRICE, _AGE], axis=1)
    task = training.make(_data(labels, ('price', 'age')))
    values = training.train(task, {'numbers': _X, 'label': labels})
    predicted = task.predict({'numbers': _X})
    self.assertEqual(list(predicted), ['price', 'age'])
    report = task.report(values)
    for i, name in enumerate(('price', 'age')):
      error = predicted[name].numpy() - labels[:, i]
      np.testing.assert_allclose(
          report.values['per_target'][name]['rmse'],
          np.sqrt(np.mean(error**2)),
          rtol=1e-3,
      )
      self.assertIn(name, report.table)
      self.assertLess(np.std(error), 0.3 * np.std(labels[:, i]))
    self.assertLen(report.figures['predictions.png']().axes, 2)

  def test_intervals(self):
    noise = np.random.default_rng(3).normal(size=[2000]).astype(np.float32)
    x = np.zeros([2000, 3], np.float32)
    task = training.make(
        _data(noise), loss='quantile', loss_arg={'levels': (0.1, 0.5, 0.9)}
    )
    self.assertEqual((task.monitor, task.direction), ('loss', 'min'))
    values = training.train(
        task, {'numbers': x, 'label': noise}, 120, learning_rate=0.05
    )
    predicted = {n: v[0] for n, v in task.predict({'numbers': x}).items()}
    self.assertEqual(
        list(predicted),
        ['prediction', 'prediction_0.1', 'prediction_0.5', 'prediction_0.9'],
    )
    np.testing.assert_allclose(predicted['prediction_0.9'], 1.28, atol=0.15)
    np.testing.assert_allclose(predicted['prediction_0.1'], -1.28, atol=0.15)
    self.assertEqual(predicted['prediction'], predicted['prediction_0.5'])
    self.assertAlmostEqual(values['coverage'], 0.8, delta=0.03)
    self.assertAlmostEqual(
        values['interval_width'],
        float(predicted['prediction_0.9'] - predicted['prediction_0.1']),
        places=4,
    )
    self.assertIn('80.0% are expected', task.report(values).table)

  def test_replicas(self):
    values = [
        training.train(
            training.make(_data(_PRICE), number),
            {'numbers': _X, 'label': _PRICE},
            num_steps=5,
            num_replicas=number,
        )
        for number in (1, 2)
    ]
    for name in ('loss', 'rmse', 'mae', 'r2'):
      np.testing.assert_allclose(values[0][name], values[1][name], rtol=1e-4)
    np.testing.assert_array_equal(values[0]['counts'], values[1]['counts'])

  def test_a_constant_target(self):
    labels = np.full([64], 7, np.float32)
    task = training.make(_data(labels))
    values = training.train(task, {'numbers': _X, 'label': labels})
    self.assertLess(values['rmse'], 0.5)

  @parameterized.parameters(
      ({'class_weights': (1.0,)}, '--class_weights=.*for classes'),
      ({'label_smoothing': 0.1}, '--label_smoothing=0.1.*for classes'),
      ({'loss': 'softmax_cross_entropy'}, '--loss=.* there are: absolute_err'),
      ({'loss': 'quantile', 'loss_arg': {'levels': (0.9, 0.1)}}, 'each above'),
      ({'loss': 'quantile', 'loss_arg': {'levels': (0.0, 0.1)}}, 'between 0'),
      ({'loss_arg': {'delta': 1.0}}, '--loss_arg=delta: no such'),
      ({'model_arg': {'depth': 1}}, '--model_arg=depth: no such'),
      ({'model': 'perceptron'}, '--model=perceptron'),
  )
  def test_what_does_not_fit(self, changes, message):
    with self.assertRaisesRegex(programs.UserError, message):
      training.make(_data(_PRICE), **changes)

  def test_a_model_of_another_size(self):
    with self.assertRaisesRegex(programs.UserError, 'expected .batch_size, 1'):
      training.make(_data(_PRICE), model=lambda: _Two())


class _Two(tf.Module):

  def __call__(self, inputs):
    return inputs[:, :2]


class ColumnsTest(absltest.TestCase):

  def test_histogram(self):
    metric = columns.histogram([10.0], [2.0])
    labels = tf.constant([[10.0], [100.0], [-100.0], [4.01]])
    counts = metric.compute(
        metric.measure(labels, labels + 0.0, tf.constant([1.0, 1, 0, 1]))
    ).numpy()
    self.assertEqual(counts.shape, (1, 26, 26))
    self.assertEqual(counts.sum(), 3)
    self.assertEqual(
        np.argwhere(counts[0]).tolist(), [[0, 0], [13, 13], [25, 25]]
    )

  def test_each(self):
    metric = columns.each(metrics.mean_absolute_error(), 2)
    value = metric.compute(
        metric.measure(tf.zeros([2, 2]), tf.constant([[1.0, 2], [3, 4]]))
    )
    self.assertEqual(value.numpy().tolist(), [2, 3])


if __name__ == '__main__':
  absltest.main()
