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
    })
    header, _, train, validation = _cells(table)
    self.assertEqual(header, ['epoch', '2', 'loss', 'accuracy', 'macro_f1'])
    self.assertEqual(train, ['train', '0.5123', '0.7500'])
    self.assertEqual(validation, ['validation', '0.6000', '0.5000', '0.2500'])

  def test_evaluation(self):
    table = tables.evaluation(
        'test',
        {'loss': 0.5, 'accuracy': 0.875, 'macro_precision': 0.1,
         'macro_recall': 0.2, 'macro_f1': 0.3},
        {
            'ankle boot': {'precision': 0.125, 'recall': 0.25, 'f1': 0.375},
            'bag': {'precision': 1.0, 'recall': 0.0, 'f1': 0.5},
        },
        10000,
    )
    cells = _cells(table)
    self.assertEqual(
        cells[0],
        ['test', '(10,000', 'examples)', 'precision', 'recall', 'f1'],
    )
    self.assertIn(['ankle', 'boot', '0.1250', '0.2500', '0.3750'], cells)
    self.assertIn(['bag', '1.0000', '0.0000', '0.5000'], cells)
    self.assertIn(['macro', 'average', '0.1000', '0.2000', '0.3000'], cells)
    self.assertEqual(
        table.splitlines()[-1],
        'test: loss 0.5000  accuracy 0.8750  macro_f1 0.3000',
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
