"""Tests of curves."""

from __future__ import annotations

import numpy as np
from absl.testing import absltest

from launch.reporting import curves

_ROWS = [
    {
        'step': 7,
        'epoch': 0.5,
        'split': 'train',
        'loss': 2.0,
        'accuracy': 0.25,
        'learning_rate': 0.1,
    },
    {
        'step': 14,
        'epoch': 1.0,
        'split': 'train',
        'loss': 1.0,
        'accuracy': 0.5,
        'learning_rate': 0.05,
    },
    {
        'step': 14,
        'epoch': 1.0,
        'split': 'validation',
        'loss': 1.5,
        'accuracy': 0.375,
    },
]


class CurvesTest(absltest.TestCase):

  def test_one_run(self):
    plot = curves.draw({'': _ROWS}, ['accuracy'])
    loss, accuracy, rate = plot.axes
    train, validation = loss.lines
    np.testing.assert_array_equal(train.get_xydata(), [[0.5, 2], [1, 1]])
    np.testing.assert_array_equal(validation.get_xydata(), [[1, 1.5]])
    np.testing.assert_array_equal(
        accuracy.lines[0].get_xydata(), [[0.5, 0.25], [1, 0.5]]
    )
    self.assertLen(rate.lines, 1)
    self.assertEqual(
        [panel.get_title() for panel in plot.axes],
        ['loss', 'accuracy', 'learning rate'],
    )

  def test_several_runs_have_a_colour_each(self):
    plot = curves.draw({'_a$': _ROWS, 'b': _ROWS[:2], 'c': []}, ['loss'])
    colors = [line.get_color() for line in plot.axes[0].lines]
    self.assertEqual(colors, ['C0', 'C0', 'C1', 'C0', 'C1', 'C2'])
    [legend] = plot.legends
    self.assertEqual(
        [text.get_text() for text in legend.get_texts()], ['a\\$', 'b', 'c']
    )


if __name__ == '__main__':
  absltest.main()
