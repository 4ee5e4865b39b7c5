"""Tests of launch.tables."""

from __future__ import annotations

import tensorflow as tf
from absl.testing import absltest

from launch import tables


def _cells(table):
  return [line.split() for line in table.splitlines()]


class TablesTest(absltest.TestCase):

  def test_validation(self):
    table = tables.validation(2.0, {
        'train': {'loss': 0.51234, 'accuracy': 0.75},
        'validation': {'loss': 0.6, 'accuracy': 0.5, 'macro_f1': 0.25,
                       'macro_recall': 0.1},
    }, ('loss', 'accuracy', 'top_5_accuracy', 'macro_f1'))
    header, _, train, validation = _cells(table)
    self.assertEqual(header, ['epoch', '2', 'loss', 'accuracy', 'macro_f1'])
    self.assertEqual(train, ['train', '0.5123', '0.7500'])
    self.assertEqual(validation, ['validation', '0.6000', '0.5000', '0.2500'])

  def test_without_a_headline_the_first_values_are_shown(self):
    values = {f'value_{i}': float(i) for i in range(9)}
    header, *_ = _cells(tables.validation(1.0, {'train': values}))
    self.assertEqual(header[2:], [f'value_{i}' for i in range(6)])

  def test_evaluation(self):
    values = {'loss': 0.5, 'accuracy': 0.875, 'macro_recall': 0.2}
    self.assertEqual(
        tables.evaluation('test', values, 10_000, 'a\nb', ('accuracy', 'f1')),
        'a\nb\ntest (10,000 examples): accuracy 0.8750',
    )
    self.assertEqual(
        tables.evaluation('test', values, 3, ''),
        'test (3 examples): loss 0.5000  accuracy 0.8750  macro_recall 0.2000',
    )

  def test_parameters(self):
    cells = _cells(tables.parameters({
        'hidden/w': tf.Variable(tf.zeros([30, 40])),
        'hidden/b': tf.Variable(tf.zeros([40], tf.bfloat16)),
    }))
    self.assertIn(
        ['hidden/w', '(30,', '40)', 'float32', '1,200', '4,800'], cells
    )
    self.assertIn(['hidden/b', '(40,)', 'bfloat16', '40', '80'], cells)
    self.assertEqual(cells[-1], ['all', '1,240', '4,880'])


if __name__ == '__main__':
  absltest.main()
