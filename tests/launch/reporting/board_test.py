"""Tests of what TensorBoard shows of the end of a run."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import absltest

from launch.reporting import board
from tests.launch import boards, houses, runs


def _pictures(value):
  """Decodes what `tf.summary.image` wrote."""
  return [tf.io.decode_png(each).numpy() for each in value[2:]]


class BoardTest(absltest.TestCase):

  def test_classes_of_images(self):
    found = boards.read(runs.finished() / 'summaries' / 'test')
    result = runs.result(runs.finished())
    self.assertAlmostEqual(
        found['accuracy'][40], result['test_accuracy'], places=6
    )
    for name in ('confusion', 'reliability'):
      with self.subTest(name):
        [picture] = _pictures(found[name][40])
        self.assertGreater(min(picture.shape[:2]), 200)
        self.assertGreater(picture.std(), 5)
    self.assertNotIn('curves', found)
    text = found['where the time went'][40].item()
    self.assertIn(f'| {result["seconds"]:.4g} ', text.decode())

  def test_rows_of_a_table(self):
    found = boards.read(houses.finished() / 'summaries' / 'test')
    [text] = found['Largest errors (test)'].values()
    text = text.item()
    header, _, *rows = text.decode().splitlines()
    names = [name.strip() for name in header.strip('|').split('|')]
    self.assertEqual(names[:4], ['index', 'label', 'prediction', 'error'])
    self.assertIn('area', names)
    self.assertLen(rows, 24)

  def test_ends_of_a_run(self):
    workdir = pathlib.Path(runs.scratch(self)) / 'run'
    for num_steps in (2, 4):
      self.assertEqual(runs.train(workdir, num_steps=num_steps).code, 0)
    found = boards.read(workdir / 'summaries' / 'test')
    worst = 'Most confident mistakes (test)'
    for name in ('loss', 'confusion', 'where the time went', worst):
      self.assertEqual(list(found[name]), [2, 4], name)
    [picture] = _pictures(found[worst][4])
    self.assertGreater(picture.std(), 5)

  def test_no_test_split(self):
    workdir = pathlib.Path(runs.scratch(self)) / 'run'
    self.assertEqual(
        runs.train(workdir, num_steps=2, test_split='none').code, 0
    )
    found = boards.read(workdir / 'summaries' / 'report')
    self.assertIn('Most confident mistakes (validation)', found)
    self.assertNotIn('loss', found)

  def test_masks_have_a_legend(self):
    pixels = {
        name: np.full([4, 4, channels], [0, 200, 0][:channels], np.uint8)
        for name, channels in (('image', 1), ('label', 3), ('prediction', 3))
    }
    parts = [(pixels, [('index', '0'), ('words', '$a_b ' * 40)])] * 24
    names = [('nothing', (0, 0, 0)), ('a bag', (255, 0, 0))]
    plain, sheet = (board._sheet(parts, each) for each in ((), names))
    self.assertEqual(sheet.shape[1], 1440)
    is_red, is_green, is_white = (
        (each == color).all(-1)
        for color in ((255, 0, 0), (0, 200, 0), (255, 255, 255))
        for each in [sheet]
    )
    self.assertTrue(is_red.any())  # Of the legend.
    # 12 examples of 3 pictures, the first of which is black.
    self.assertEqual(is_green.sum(), 24 * 232**2)
    self.assertGreater(len(sheet), len(plain))
    self.assertTrue((~is_white[42:80]).any())  # Text.


if __name__ == '__main__':
  absltest.main()
