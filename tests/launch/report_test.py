"""Tests of launch.report, and of confusion matrices in it."""

from __future__ import annotations

import json
import os
import time
import warnings
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from matplotlib import figure

from launch import report
from launch.tasks import classification, confusion
from tests.launch import runs

_ROWS = [
    {'step': 7, 'epoch': 0.5, 'split': 'train', 'loss': 2.0, 'accuracy': 0.25,
     'learning_rate': 0.1},
    {'step': 14, 'epoch': 1.0, 'split': 'train', 'loss': 1.0, 'accuracy': 0.5,
     'learning_rate': 0.05},
    {'step': 14, 'epoch': 1.0, 'split': 'validation', 'loss': 1.5,
     'accuracy': 0.375},
]
_COUNTS = [[8, 2], [0, 0]]


def _figures(counts, names):
  return {'confusion.png': lambda: confusion.figure(counts, names)}


def _plots(directory, rows, figures):
  """Writes a report; returns its figures by the names of their files."""
  plots = {}

  def save(plot, path, **_):
    plots[os.path.basename(path)] = plot

  with mock.patch.object(figure.Figure, 'savefig', save):
    report.write(directory, rows, figures, 'accuracy')
  return plots


class ReportTest(parameterized.TestCase):

  def test_files(self):
    workdir = runs.finished()
    for name in ('curves.png', 'confusion.png'):
      content = (workdir / 'report' / name).read_bytes()
      self.assertStartsWith(content, b'\x89PNG')

  def test_curves(self):
    plots = _plots(runs.scratch(self), _ROWS, {})
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
    figures = _figures(_COUNTS, ['cat', 'dog'])
    plot = _plots(runs.scratch(self), _ROWS, figures)['confusion.png']
    panel = plot.axes[0]
    [image] = panel.get_images()
    np.testing.assert_allclose(image.get_array(), [[0.8, 0.2], [0, 0]])
    self.assertEqual([text.get_text() for text in panel.texts], ['8', '2'])
    self.assertEqual(
        [tick.get_text() for tick in panel.get_yticklabels()], ['cat', 'dog']
    )


  def test_names_of_any_letters(self):
    names = [
        '$5 bill', 'cost in $x_{$', '$', '\\frac{', 'a^b_c%#&~', '\u732b',
        '\u0643\u0644\u0628', '\U0001f408', 'x' * 5000, 'two\nlines', '', ' ',
        '1e5',
    ]
    figures = _figures(np.eye(len(names), dtype=int).tolist(), names)
    per_class = {
        each: {'precision': 0.25, 'recall': 0.25, 'f1': 0.25} for each in names
    }
    directory = runs.scratch(self)
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      report.write(directory, _ROWS, figures, 'accuracy')
    self.assertLen(os.listdir(directory), 2)
    macro = {f'macro_{n}': 0.5 for n in ('precision', 'recall', 'f1')}
    lines = classification.table(per_class, macro).splitlines()
    self.assertLess(max(map(len, lines)), 120)
    self.assertLen(lines, len(names) + 4)
    self.assertStartsWith(lines[-3], '1e5 ')

  @parameterized.parameters(2, 31, 1_000, 1_001, 1_333)
  def test_many_classes(self, num_classes):
    counts = np.zeros([num_classes, num_classes], np.int64)
    counts[np.arange(num_classes), np.arange(num_classes)] = 3
    counts[0, -1] = 1
    rows = confusion.to_json(counts)
    self.assertLessEqual(len(rows), num_classes + 1)
    binned = confusion.from_json(rows, num_classes)
    self.assertLessEqual(len(binned), 1_000)
    self.assertEqual(binned.sum(), counts.sum())
    self.assertEqual(binned[0, -1], 1)
    if num_classes <= 1_000:
      np.testing.assert_array_equal(binned, counts)
    names = [str(i) for i in range(num_classes)]
    figures = _figures(json.loads(json.dumps(rows)), names)
    plot = _plots(runs.scratch(self), _ROWS, figures)['confusion.png']
    [image] = plot.axes[0].get_images()
    shares = np.asarray(image.get_array())
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(np.diag(shares)[1:], 1)
    np.testing.assert_allclose(
        image.get_extent(), [-0.5, num_classes - 0.5, num_classes - 0.5, -0.5]
    )

  def test_its_time_does_not_grow_faster_than_its_pixels(self):
    # Cell by cell, 10,000 classes took hours.
    rows = [[i, i, 1] for i in range(10_000)]
    names = [str(i) for i in range(10_000)]
    started = time.process_time()
    _plots(runs.scratch(self), _ROWS, _figures(rows, names))
    self.assertLess(time.process_time() - started, 20)


if __name__ == '__main__':
  absltest.main()
