"""Tests of confusion matrices in reports."""

from __future__ import annotations

import io
import json
import time
import warnings

import numpy as np
from absl.testing import absltest, parameterized

from launch.reporting import page
from launch.tasks import classification, confusion


class TablesTest(parameterized.TestCase):

  @parameterized.parameters(3, 60, 1_333)
  def test_tables(self, num_classes):
    counts = 2 * np.eye(num_classes, dtype=int)
    counts[2, 0], counts[1, 2] = 5, 3
    per_class = {
        f'c{i}': {'recall': counts[i, i] / counts[i].sum()}
        for i in range(num_classes)
    }
    by_class, pairs = confusion.sections(
        confusion.to_json(counts), per_class, 'pixels'
    )
    self.assertEqual(by_class.headers, ('class', 'recall', 'support (pixels)'))
    self.assertLen(by_class.rows, num_classes)
    # Of many classes the worst come first.
    place = 2 if num_classes == 3 else 0
    self.assertEqual(by_class.rows[place], ['c2', 2 / 7, 7])
    self.assertEqual(
        pairs.rows, [['c2', 'c0', 5, '71.4%'], ['c1', 'c2', 3, '60.0%']]
    )

  def test_no_mistake(self):
    self.assertLen(
        confusion.sections(
            [[3, 0], [0, 0]], {'a': {'f1': 1.0}, 'b': {'f1': 0.0}}
        ),
        1,
    )


class FiguresTest(parameterized.TestCase):

  def test_names_of_any_letters(self):
    names = [
        '$5 bill',
        'cost in $x_{$',
        '$',
        '\\frac{',
        'a^b_c%#&~',
        '\u732b',
        '\u0643\u0644\u0628',
        '\U0001f408',
        'x' * 5000,
        'two\nlines',
        '',
        ' ',
        '1e5',
    ]
    counts = np.eye(len(names), dtype=int).tolist()
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      data = page.render(lambda: confusion.figure(counts, names))
    self.assertStartsWith(data, b'\x89PNG')
    per_class = {
        each: {'precision': 0.25, 'recall': 0.25, 'f1': 0.25} for each in names
    }
    macro = {f'macro_{n}': 0.5 for n in ('precision', 'recall', 'f1')}
    lines = classification.table(per_class, macro).splitlines()
    self.assertLess(max(map(len, lines)), 120)
    self.assertLen(lines, len(names) + 4)
    self.assertStartsWith(lines[-3], '1e5 ')

  def test_confusion(self):
    plot = confusion.figure([[8, 2], [0, 0]], ['cat', 'dog'])
    panel = plot.axes[0]
    [image] = panel.get_images()
    np.testing.assert_allclose(image.get_array(), [[0.8, 0.2], [0, 0]])
    self.assertEqual([text.get_text() for text in panel.texts], ['8', '2'])
    self.assertEqual(
        [tick.get_text() for tick in panel.get_yticklabels()], ['cat', 'dog']
    )

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
    plot = confusion.figure(json.loads(json.dumps(rows)), names)
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
    confusion.figure(rows, names).savefig(io.BytesIO())
    self.assertLess(time.process_time() - started, 20)


if __name__ == '__main__':
  absltest.main()
