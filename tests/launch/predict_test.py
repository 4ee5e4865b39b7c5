"""Tests of launch.predict.

Covers: predicting.
"""

from __future__ import annotations

import csv
import json
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import predicting, programs
from pipelines import spec as spec_lib
from tests.launch import houses, runs


class PredictTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def predict(self, workdir, output, *args):
    path = self.root / output
    ended = runs.call(
        'predict', f'--workdir={workdir}', f'--output={path}', *args
    )
    return ended, path

  def test_every_example_of_a_split_once_in_order(self):
    ended, path = self.predict(runs.finished(), 'test.jsonl')
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn(f'{runs.NUM_TEST} examples; {path}', ended.out)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    self.assertEqual([row['index'] for row in rows], [*range(runs.NUM_TEST)])
    right = [row['label'] == row['prediction'] for row in rows]
    test = runs.result(runs.finished())['test']
    self.assertAlmostEqual(np.mean(right), test['values']['accuracy'], places=6)
    for row in rows:
      self.assertEqual(
          list(row),
          ['index', 'label', 'prediction', 'class', 'probability',
           'probabilities'],
      )
      self.assertAlmostEqual(sum(row['probabilities']), 1, places=5)
      self.assertEqual(row['probability'], max(row['probabilities']))

  def test_a_table(self):
    ended, path = self.predict(
        runs.finished(), 'train.csv', '--split=train',
        f'--checkpoint={runs.finished()}/checkpoints/ckpt-20',
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    with open(path, newline='') as file:
      rows = list(csv.DictReader(file))
    self.assertLen(rows, runs.NUM_TRAIN)
    self.assertEqual(
        list(rows[0])[-4:], [f'probabilities_{i}' for i in range(4)]
    )

  def test_files_of_rows(self):
    rows = houses.rows(seed=4)[:7]
    given = houses.write(self.root / 'new.csv', rows)
    # A file may stand before a flag, as the shell leaves it.
    ended = runs.call(
        'predict', f'--workdir={houses.finished()}', str(given), str(given),
        f'--output={self.root}/out.jsonl',
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    lines = (self.root / 'out.jsonl').read_text().splitlines()
    found = [json.loads(line) for line in lines]
    self.assertEqual([row['index'] for row in found], [*range(14)])
    self.assertEqual(found[0]['source'], f'{given}, line 2')
    self.assertEqual(found[0]['prediction'], found[7]['prediction'])
    self.assertLess(abs(found[0]['prediction'] - rows[0][-1]), 100_000)

  def test_images(self):
    paths = []
    for index in range(3):
      pixels = np.full([8, 8, 3], 80 * index, np.uint8)
      paths.append(str(self.root / f'{index}.png'))
      tf.io.write_file(paths[-1], tf.io.encode_png(pixels))
    ended, path = self.predict(runs.finished(), 'out.csv', *paths)
    self.assertEqual((ended.code, ended.err), (0, ''))
    with open(path, newline='') as file:
      rows = list(csv.DictReader(file))
    self.assertEqual([row['source'] for row in rows], paths)

  @parameterized.parameters(
      (['--output='], '--output=: expected a path'),
      (['--output=x.txt'], 'ends in .jsonl or .csv'),
      (['--split=all'], '--split=all'),
      (['--split=test', 'a.csv'], '--split=test: files are given as well'),
      (['nothing.png'], 'nothing.png'),
      (['--checkpoint=ckpt-7'], 'ckpt-7'),
  )
  def test_mistakes(self, args, message):
    ended, path = self.predict(houses.finished(), 'out.csv', *args)
    self.assertEqual(ended.code, 2, ended)
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertFalse(path.exists())


class TableTest(absltest.TestCase):

  def test_masks_are_no_columns(self):
    path = pathlib.Path(runs.scratch(self)) / 'out.csv'
    parts = [({'index': np.arange(1)}, {'mask': np.zeros([1, 40, 40], int)})]
    with self.assertRaisesRegex(programs.UserError, '1,600 numbers.*jsonl'):
      predicting.Table(str(path)).write(parts)
    self.assertEmpty(list(path.parent.iterdir()))
    path = path.with_suffix('.jsonl')
    self.assertEqual(predicting.Table(str(path)).write(parts), 1)
    self.assertLen(json.loads(path.read_text())['mask'], 40)

  def test_targets_by_name(self):
    several = spec_lib.Feature('classes', (3,), 'int8', ('a', 'b', 'c'))
    self.assertEqual(
        predicting.decoded(several, np.array([[1, 0, 1], [0, 0, 0]])).tolist(),
        ['a,c', ''],
    )


if __name__ == '__main__':
  absltest.main()
