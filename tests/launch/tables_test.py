"""Tests of launch.tables."""

from __future__ import annotations

import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import tables
from launch.machine import costs


def _cells(table):
  return [line.split() for line in table.splitlines()]


class TablesTest(parameterized.TestCase):

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

  @parameterized.parameters(
      ([], ['forward', '1.000', '25', '%'], ['backward', '2.000', '50', '%']),
      (['backward'], ['forward', '+', 'backward', '3.000', '75', '%']),
  )
  def test_benchmark(self, too_fast, *rows):
    """Passes that cannot be told apart are one row; zero has no sign."""
    parts = dict(input=1e-3, all_reduce=None, forward=1e-3, backward=2e-3)
    table = tables.benchmark({
        'parts': {**parts, 'update': 0.0, 'host': 0.0, 'other': -1e-9},
        'too_fast': too_fast,
        'seconds_per_step': 4e-3,
        'seconds_per_step_quartiles': [4e-3, 4e-3],
        'examples_per_second': 1.0,
        'examples_per_second_quartiles': [1.0, 1.0],
        'num_rounds': 3,
        'steps_per_call': 1,
        'busy_cpus': 1.0,
        'first_step_seconds': 1.0,
        'compile_seconds': 1.0,
        'compiled': 'loop',
        'num_compilations': 1,
        'flop_per_step': 0,
        'floor_seconds': None,
        'flop_per_second': {},
        'machine': {'cpus': 2, 'peak_memory_bytes': {'host': 1}},
        'memory_bytes': dict(parameters=1, optimizer_state=1, training_data=1),
    })
    cells = _cells(table)
    names = [['input', '1.000', '25', '%'], ['all-reduce', 'none'], *rows]
    self.assertEqual(cells[2 : 2 + len(names)], names)
    self.assertIn(['other', '0.000', '0', '%'], cells)

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
