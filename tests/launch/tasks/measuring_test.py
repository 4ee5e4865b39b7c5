"""Tests of launch.tasks.measuring."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics
from launch import data as data_lib
from launch import programs
from launch.tasks import measuring
from pipelines import spec as spec_lib
from tests.launch.tasks import training

_DATA = data_lib.DataSpec(
    spec_lib.of_images((4, 4, 1), ('a', 'b', 'c')), {'train': 10}
)


def cost(num_classes, price=2.0):
  """The mean label, at a price."""
  mean = metrics.mean()

  def measure(labels, predictions, weights=None):
    del predictions
    return mean.measure(None, tf.cast(labels, tf.float32), weights)

  return metrics.Metric(
      measure, lambda sums: num_classes * price * mean.compute(sums)
  )


def _replaced(wanted, given=None, **changes):
  task = training.make(_DATA, **changes)
  return task, measuring.replaced(task, wanted, given or {}, _DATA)


class MeasuringTest(parameterized.TestCase):

  def test_by_name_and_of_ones_own(self):
    task, other = _replaced(
        ['accuracy', 'precision', cost],
        {'cost.price': 3, 'precision.average': 'micro'},
    )
    labels, logits = [0, 2], np.eye(3, dtype=np.float32)[[0, 1]]
    values = other.eval_metric.compute(
        other.eval_metric.measure(labels, logits)
    )
    self.assertEqual(
        {name: float(value) for name, value in values.items()},
        {'accuracy': 0.5, 'precision': 0.5, 'cost': 9.0},
    )
    self.assertEqual((other.monitor, other.direction), ('accuracy', 'max'))
    self.assertIn(
        'macro_f1',
        task.eval_metric.compute(task.eval_metric.measure(labels, logits)),
    )
    report = other.report({'loss': 1.0, 'accuracy': 0.5, 'cost': 9.0})
    self.assertIn('cost', report.table)

  def test_what_is_watched_is_measured(self):
    _, other = _replaced([cost])
    self.assertEqual((other.monitor, other.direction), ('loss', 'min'))

  @parameterized.parameters(
      (['acuracy'], {}, '--metrics=acuracy: unknown; there are: accuracy'),
      (['accuracy', 'accuracy'], {}, 'two are called accuracy'),
      ([cost], {'price': 1}, '--metric_arg=price: expected NAME.ARG'),
      ([cost], {'cost.prize': 1}, '--metric_arg=prize: no such.*price=2.0'),
      ([lambda: 3], {}, 'expected a function that makes a Metric, got a int'),
      (['roc_auc'], {'roc_auc.num_bins': 3}, '=roc_auc.num_bins=3: num_bins'),
  )
  def test_what_does_not_fit(self, wanted, given, message):
    with self.assertRaisesRegex(programs.UserError, message):
      _replaced(wanted, given)


if __name__ == '__main__':
  absltest.main()
