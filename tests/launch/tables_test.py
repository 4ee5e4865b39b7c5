"""Tests of launch.tables."""

from __future__ import annotations

import tensorflow as tf
from absl.testing import absltest

from launch import tables
from launch.machine import costs


def _cells(table):
  return [line.split() for line in table.splitlines()]


class TablesTest(absltest.TestCase):

  def test_validation(self):
    table = tables.validation(
        2.0,
        {
            'train': {'loss': 0.51234, 'accuracy': 0.75},
            'validation': {
                'loss': 0.6,
                'accuracy': 0.5,
                'macro_f1': 0.25,
                'macro_recall': 0.1,
            },
        },
        ('loss', 'accuracy', 'top_5_accuracy', 'macro_f1'),
    )
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

  def test_layers(self):
    cells = _cells(
        tables.layers({
            'hidden': costs.Layer(
                'Linear',
                forward=2_400,
                backward=4_800,
                output_bytes=160,
                variables={
                    'w': tf.Variable(tf.zeros([30, 40])),
                    'b': tf.Variable(tf.zeros([40], tf.bfloat16)),
                },
            ),
            '': costs.Layer('Net', forward=999_999, output_bytes=3_700_000_000),
        })
    )
    self.assertIn(
        [
            'hidden',
            'w',
            '30',
            'x',
            '40,',
            'b',
            '40',
            'bfloat16',
            '1,240',
            '4.88',
            'k',
            '160',
            '2.4',
            'k',
            '4.8',
            'k',
        ],
        cells,
    )
    self.assertIn(['Net', '0', '0', '3.7', 'G', '1', 'M', '0'], cells)
    self.assertIn(
        ['all', '1,240', '4.88', 'k', '3.7', 'G', '1', 'M', '4.8', 'k'], cells
    )


if __name__ == '__main__':
  absltest.main()
