"""Tests of launch.report."""

from __future__ import annotations

import os
from unittest import mock

import numpy as np
from absl.testing import absltest
from matplotlib import figure

from launch import report
from tests.launch import runs

_ROWS = [
    {'step': 7, 'epoch': 0.5, 'split': 'train', 'loss': 2.0, 'accuracy': 0.25,
     'learning_rate': 0.1},
    {'step': 14, 'epoch': 1.0, 'split': 'train', 'loss': 1.0, 'accuracy': 0.5,
     'learning_rate': 0.05},
    {'step': 14, 'epoch': 1.0, 'split': 'validation', 'loss': 1.5,
     'accuracy': 0.375},
]
_TEST = {
    'confusion_matrix': [[8, 2], [0, 0]],
    'per_class': {'cat': {}, 'dog': {}},
}


def _plots(directory, rows, test):
  """Writes a report; returns its figures by the names of their files."""
  plots = {}

  def save(plot, path, **_):
    plots[os.path.basename(path)] = plot

  with mock.patch.object(figure.Figure, 'savefig', save):
    report.write(directory, rows, test)
  return plots


class ReportTest(absltest.TestCase):

  def test_files(self):
    workdir = runs.finished()
    for name in ('curves.png', 'confusion.png'):
      content = (workdir / 'report' / name).read_bytes()
      self.assertStartsWith(content, b'\x89PNG')

  def test_curves(self):
    plots = _plots(runs.scratch(self), _ROWS, None)
    self.assertEqual(list(plots), ['curves.png'])
    loss, accuracy, rate = plots['curves.png'].axes
    train, validation = loss.lines
    np.testing.assert_array_equal(train.get_xydata(), [[0.5, 2], [1, 1]])
    np.testing.assert_array_equal(validation.get_xydata(), [[1, 1.5]])
    np.testing.assert_array_equal(
        accuracy.lines[0].get_xydata(), [[0.5, 0.25], [1, 0.5]]
    )
    self.assertLen(rate.lines, 1)
    self.assertEqual(
        [panel.get_title() for panel in (loss, accuracy, rate)],
        ['loss', 'accuracy', 'learning rate'],
    )

  def test_confusion(self):
    plot = _plots(runs.scratch(self), _ROWS, _TEST)['confusion.png']
    panel = plot.axes[0]
    [image] = panel.get_images()
    np.testing.assert_allclose(image.get_array(), [[0.8, 0.2], [0, 0]])
    self.assertEqual([text.get_text() for text in panel.texts], ['8', '2'])
    self.assertEqual(
        [tick.get_text() for tick in panel.get_yticklabels()], ['cat', 'dog']
    )


if __name__ == '__main__':
  absltest.main()
