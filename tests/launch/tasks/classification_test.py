"""Tests of launch.tasks.classification.

Covers: class_weights, confusion.
"""

from __future__ import annotations

import math

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import data as data_lib
from launch import parts, programs, tasks
from launch.tasks import classification
from pipelines import spec as spec_lib
from tests.launch import runs

_NAMES = ('ankle boot', 'bag', '1e5')


def _task(names=_NAMES, **changes):
  data = data_lib.DataSpec(spec_lib.of_images((4, 4, 1), names), {'train': 10})
  task = tasks.make(data, runs.config(**changes))
  task.predict(data.spec.zeros())  # Makes the variables.
  return task


class _Other(snt.Module):
  """A model of another number of outputs than there are classes."""

  def __init__(self, num_classes, more=1):
    super().__init__()
    self._layer = snt.Linear(num_classes + more)

  def __call__(self, image):
    return self._layer(snt.flatten(image))


class OutputsTest(parameterized.TestCase):

  @parameterized.product(
      more=(1, -1, -2), loss=('softmax_cross_entropy', 'squared_error')
  )
  def test_one_for_each_class(self, more, loss):
    data = data_lib.DataSpec(
        spec_lib.of_images((4, 4, 1), _NAMES), {'train': 10}
    )
    config = runs.config(
        model=_Other, model_arg={'more': more}, loss=loss, metrics=('accuracy',)
    )
    task = tasks.make(data, config)
    with self.assertRaisesRegex(
        programs.UserError, r'--model: it predicts .* each of the 3 classes'
    ):
      task.objective(task.model, data.spec.zeros(), None, is_training=False)


def _fails(labels, logits, *, rate=1.0):
  del labels, logits
  raise ValueError(f'no rate like {rate}')


class OwnLossTest(absltest.TestCase):

  def test_its_flags_are_named_once(self):
    with self.assertRaises(programs.UserError) as context:
      _task(loss=_fails, loss_arg={'rate': 2.0})
    self.assertEqual(str(context.exception).count('--loss='), 1)
    self.assertIn('no rate like 2.0', str(context.exception))


class ReportTest(absltest.TestCase):

  def test_table_and_values(self):
    values = {
        'accuracy': 0.5,
        'macro_precision': 0.1,
        'macro_recall': 0.2,
        'macro_f1': 0.3,
        'precision': np.array([0.125, 1.0, 0.5]),
        'recall': np.array([0.25, 0.0, 0.5]),
        'f1': np.array([0.375, 0.5, 0.5]),
        'confusion_matrix': np.eye(3),
    }
    report = _task().report(values)
    cells = [line.split() for line in report.table.splitlines()]
    self.assertEqual(cells[0], ['class', 'precision', 'recall', 'f1'])
    self.assertIn(['ankle', 'boot', '0.1250', '0.2500', '0.3750'], cells)
    self.assertIn(['1e5', '0.5000', '0.5000', '0.5000'], cells)
    self.assertEqual(
        cells[-1], ['macro', 'average', '0.1000', '0.2000', '0.3000']
    )
    self.assertEqual(
        report.values['per_class']['bag'],
        {'precision': 1.0, 'recall': 0.0, 'f1': 0.5},
    )
    self.assertEqual(
        report.values['confusion_matrix'], np.eye(3, dtype=int).tolist()
    )
    figure = report.figures['confusion.png']()
    self.assertEqual(figure.axes[0].get_title(), 'test')

  def test_other_metrics(self):
    report = _task().report({'loss': 0.5, 'cost': np.array([1.0, 2.0])})
    self.assertIn('loss', report.table)
    self.assertEqual(report.values, {'cost': [1.0, 2.0]})
    self.assertEmpty(report.figures)


class PredictTest(parameterized.TestCase):

  def test_by_hand(self):
    task = _task(test_time_augmentation='flip')
    image = tf.constant(
        np.random.default_rng(0).integers(0, 256, [5, 4, 4, 1]), tf.uint8
    )
    columns = task.predict({'image': image})
    logits = task.model(tf.cast(image, tf.float32) / 255, is_training=False)
    expected = tf.nn.softmax(logits).numpy()
    np.testing.assert_allclose(columns['probabilities'], expected, rtol=1e-6)
    np.testing.assert_array_equal(columns['class'], expected.argmax(1))
    np.testing.assert_allclose(columns['probability'], expected.max(1), 1e-6)
    self.assertEqual(
        [name.decode() for name in columns['prediction'].numpy()],
        [_NAMES[i] for i in expected.argmax(1)],
    )

  def test_an_export_takes_scaled_images_too(self):
    export = _task().export()
    self.assertEqual(list(export.signature), ['image'])
    self.assertEqual(export.signature['image'].dtype, tf.uint8)
    raw = np.random.default_rng(0).integers(0, 256, [2, 4, 4, 1])
    scaled = export.module.predict_float(tf.constant(raw / 255, tf.float32))
    columns = export.function({'image': tf.constant(raw, tf.uint8)})
    np.testing.assert_allclose(
        columns['probabilities'], scaled['probabilities'], rtol=1e-5
    )


class MetricTest(parameterized.TestCase):

  def test_names_and_order(self):
    task = _task()
    self.assertEqual((task.monitor, task.direction), ('accuracy', 'max'))
    sums = task.eval_metric.measure([0, 1], [[2.0, 1.0, 0.0]] * 2)
    values = task.eval_metric.compute(sums)
    self.assertEqual(
        list(values),
        [
            'accuracy',
            'cross_entropy',
            'macro_precision',
            'macro_recall',
            'macro_f1',
            'weighted_f1',
            'precision',
            'recall',
            'f1',
            'confusion_matrix',
        ],
    )
    self.assertEqual(float(values['accuracy']), 0.5)

  @parameterized.parameters((5, False), (6, True))
  def test_top_5_where_it_says_anything(self, num_classes, expected):
    metric = classification.eval_metric(num_classes)
    values = metric.compute(metric.measure([0], tf.zeros([1, num_classes])))
    self.assertEqual('top_5_accuracy' in values, expected)


class LossTest(parameterized.TestCase):

  def _loss(self, name, num_classes, loss_arg=None, **changes):
    names = tuple(map(str, range(num_classes)))
    data = data_lib.DataSpec(
        spec_lib.of_images((4, 4, 1), names),
        {'train': 10},
        class_counts=changes.pop('class_counts', ()),
    )
    config = runs.config(loss=name, loss_arg=loss_arg or {}, **changes)
    return classification.make_loss(data, config)

  @parameterized.parameters(
      ('squared_error', lambda e: e**2),
      ('absolute_error', abs),
      ('huber', lambda e: 0.5 * min(abs(e), 1) ** 2),
  )
  def test_on_probabilities(self, name, function):
    # softmax([0, log 3]) = [1/4, 3/4]; smoothed, label 0 is [0.9, 0.1].
    logits = tf.constant([[0.0, math.log(3.0)]] * 2)
    loss = self._loss(name, 2, class_weights=(1.0, 3.0), label_smoothing=0.2)
    values = loss(tf.constant([0, 1]), logits)
    expected = [
        (function(0.9 - 0.25) + function(0.1 - 0.75)) / 2,
        3 * (function(0.1 - 0.25) + function(0.9 - 0.75)) / 2,
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-5)

  def test_arguments_are_the_losses_own(self):
    self.assertEqual(
        list(parts.known_arguments('loss', 'huber_loss')), ['delta']
    )
    self.assertEmpty(parts.known_arguments('loss', 'squared_error'))
    self.assertEmpty(parts.known_arguments('loss', 'softmax_cross_entropy'))
    loss = self._loss('huber', 2, {'delta': 0.1})
    value = loss(tf.constant([0]), tf.constant([[0.0, 0.0]]))
    np.testing.assert_allclose(value, [0.5 * 0.01 + 0.1 * 0.4], rtol=1e-5)

  @parameterized.parameters(*classification.LOSSES)
  def test_each_takes_class_weights(self, name):
    labels = tf.constant([0, 2, 1])
    logits = tf.constant([[0.1, 0.5, -1.0], [1.0, 0.0, -2.0], [0.2, 0.1, 3.0]])
    plain = self._loss(name, 3)(labels, logits)
    self.assertEqual(plain.shape, [3])
    self.assertGreater(np.min(plain), 0)
    weighted = self._loss(name, 3, class_weights=(2.0, 0.0, 3.0))
    np.testing.assert_allclose(
        weighted(labels, logits), plain * [2.0, 3.0, 0.0], rtol=1e-6
    )
    balanced = self._loss(
        name, 3, class_weights='balanced', class_counts=(1, 3, 8)
    )
    np.testing.assert_allclose(
        balanced(labels, logits), plain * [4.0, 0.5, 4 / 3], rtol=1e-6
    )

  def test_label_smoothing_that_a_loss_has_not(self):
    with self.assertRaisesRegex(
        programs.UserError, '--label_smoothing=0.1: .*hinge_loss has none'
    ):
      self._loss('multiclass_hinge_loss', 2, label_smoothing=0.1)

  def test_somebodys_own(self):
    def cost(labels, predictions, *, factor=2.0):
      picked = tf.gather(predictions, labels, axis=1, batch_dims=1)
      return factor * picked

    logits = tf.constant([[1.0, 5.0], [2.0, 3.0]])
    loss = self._loss(cost, 2, {'factor': 3})
    self.assertEqual(loss(tf.constant([0, 1]), logits).numpy().tolist(), [3, 9])
    with self.assertRaisesRegex(programs.UserError, 'no such.* factor=2.0'):
      self._loss(cost, 2, {'fractor': 3})


if __name__ == '__main__':
  absltest.main()
