"""Tests of launch.tasks.multi_label."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import programs
from launch.tasks import multi_label
from pipelines import spec as spec_lib
from tests.launch.tasks import training

_NAMES = ('red', 'green', 'blue')
_X = np.random.default_rng(0).normal(size=[60, 3]).astype(np.float32)
_LABELS = (_X > [-0.5, 0.0, 1.0]).astype(np.int32)


def _data(**changes):
  return training.data_of(
      {
          'numbers': spec_lib.Feature('numbers', (3,), 'float32'),
          'label': spec_lib.Feature('classes', (3,), 'int32', _NAMES),
      },
      num_train=60,
      **changes,
  )


class MultiLabelTest(parameterized.TestCase):

  def test_is_learned(self):
    task = training.make(_data())
    self.assertEqual((task.monitor, task.direction), ('macro_f1', 'max'))
    values = training.train(
        task, {'numbers': _X, 'label': _LABELS}, num_replicas=1
    )
    columns = {n: v.numpy() for n, v in task.predict({'numbers': _X}).items()}
    predicted = columns['classes']
    np.testing.assert_array_equal(predicted, columns['probabilities'] > 0.5)
    for example, line in zip(predicted, columns['prediction'], strict=True):
      names = [n for n, yes in zip(_NAMES, example, strict=True) if yes]
      self.assertEqual(line.decode(), ','.join(names))
    # By hand.
    both = (predicted * _LABELS).sum(0)
    f1 = 2 * both / (predicted.sum(0) + _LABELS.sum(0))
    np.testing.assert_allclose(values['f1'], f1, rtol=1e-5)
    np.testing.assert_allclose(values['macro_f1'], f1.mean(), rtol=1e-5)
    np.testing.assert_allclose(
        values['micro_f1'],
        2 * both.sum() / (predicted.sum() + _LABELS.sum()),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        values['exact_match'], (predicted == _LABELS).all(1).mean(), rtol=1e-5
    )
    self.assertGreater(values['macro_f1'], 0.9)
    self.assertGreater(values['mean_average_precision'], 0.95)
    report = task.report(values)
    self.assertAlmostEqual(
        report.values['per_class']['blue']['f1'], f1[2], places=5
    )
    cells = [line.split() for line in report.table.splitlines()]
    self.assertEqual(
        cells[0][:5], ['class', 'precision', 'recall', 'f1', 'support']
    )
    self.assertEqual(
        [row[4] for row in report.sections[0].rows],
        _LABELS.sum(0).tolist(),
    )
    self.assertEqual(cells[-1][:2], ['micro', 'average'])

  def test_replicas(self):
    arrays = {'numbers': _X, 'label': _LABELS}
    one, two = (
        training.train(
            training.make(_data(), number), arrays, 5, num_replicas=number
        )
        for number in (1, 2)
    )
    for name, value in one.items():
      np.testing.assert_allclose(value, two[name], rtol=1e-4, err_msg=name)

  def test_padding_has_no_part_in_it(self):
    metric = multi_label.eval_metric(3)
    logits = np.where(_LABELS, 1.0, -1.0).astype(np.float32)
    logits[50:] = np.nan
    weights = tf.constant([1.0] * 50 + [0.0] * 10)
    padded = metric.compute(metric.measure(_LABELS, logits, weights))
    plain = metric.compute(metric.measure(_LABELS[:50], logits[:50]))
    for name, value in plain.items():
      np.testing.assert_allclose(padded[name], value, err_msg=name)
    self.assertEqual(float(plain['exact_match']), 1)

  def test_balanced(self):
    data = _data(class_counts=(30, 15, 60))
    task = training.make(data, class_weights='balanced')
    batch = {'numbers': _X[:4], 'label': _LABELS[:4]}
    values = task.objective(task.model, batch, None, False).values
    logits = task.model(_X[:4], is_training=False)
    softplus = tf.math.softplus
    weights = np.array([1.0, 3.0, 0.0])
    expected = tf.where(
        _LABELS[:4] > 0, weights * softplus(-logits), softplus(logits)
    )
    np.testing.assert_allclose(values, np.mean(expected, 1), rtol=1e-4)

  @parameterized.parameters(
      ({'class_weights': (1.0,)}, '1 weights for 3 classes'),
      ({'class_weights': (1.0,) * 3, 'loss': 'sigmoid_focal_loss'}, 'has none'),
      (
          {'loss': 'softmax_focal_loss'},
          'there are: dice_loss, sigmoid_binary_cross_entropy',
      ),
  )
  def test_what_does_not_fit(self, changes, message):
    with self.assertRaisesRegex(programs.UserError, message):
      training.make(_data(), **changes)

  def test_smoothing(self):
    task = training.make(_data(), label_smoothing=0.2)
    batch = {'numbers': _X[:4], 'label': _LABELS[:4]}
    evaluation = task.objective(task.model, batch, None, False)
    logits = task.model(_X[:4], is_training=False)
    targets = tf.constant(0.1 + 0.8 * _LABELS[:4], tf.float32)
    expected = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    np.testing.assert_allclose(
        evaluation.values, np.mean(expected, 1), rtol=1e-5
    )
    np.testing.assert_array_equal(evaluation.labels, _LABELS[:4])


if __name__ == '__main__':
  absltest.main()
