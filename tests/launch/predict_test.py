"""Tests of launch.predict.

Covers: evaluating.predicting, evaluating.prediction_files.
"""

from __future__ import annotations

import csv
import json
import os
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized
from PIL import Image
from pyarrow import parquet

from launch import programs
from launch.evaluating import predicting, prediction_files
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
          [
              'index',
              'label',
              'prediction',
              'class',
              'probability',
              'probabilities',
          ],
      )
      self.assertAlmostEqual(sum(row['probabilities']), 1, places=5)
      self.assertEqual(row['probability'], max(row['probabilities']))

  def test_a_table(self):
    ended, path = self.predict(
        runs.finished(),
        'train.csv',
        '--split=train',
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
        'predict',
        f'--workdir={houses.finished()}',
        str(given),
        str(given),
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
      (['--output=x.txt'], 'ends in .jsonl, .csv, .parquet, .npz, or a folder'),
      (['--split=all'], '--split=all'),
      (['--dataset=none:x', 'a.csv'], '--dataset=none:x: files are given as'),
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


class FormsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def predict(self, *args):
    ended = runs.call('predict', f'--workdir={runs.finished()}', *args)
    self.assertEqual((ended.code, ended.err), (0, ''))
    return ended.out

  def test_all_forms_hold_the_same(self):
    paths = [self.root / f'test{s}' for s in ('.jsonl', '.parquet', '.npz')]
    for path in paths:
      self.predict(f'--output={path}')
    rows = [json.loads(line) for line in paths[0].read_text().splitlines()]
    self.assertEqual(parquet.read_table(paths[1]).to_pylist(), rows)
    arrays = np.load(paths[2])
    self.assertEqual(list(arrays), list(rows[0]))
    for name, array in arrays.items():
      self.assertEqual(array.tolist(), [row[name] for row in rows])

  def test_without_a_file_a_table_is_printed(self):
    header, _, first, *_, more, last = self.predict().strip().split('\n')
    self.assertEqual(
        header.split(), ['index', 'label', 'prediction', 'class', 'probability']
    )
    self.assertEqual(first.split()[0], '0')
    self.assertIn(f'{runs.NUM_TEST - 20} more', more)
    self.assertIn(f'{runs.NUM_TEST} examples', last)

  def test_images_that_cannot_be_read_are_named_and_skipped(self):
    folder = self.root / 'new'
    folder.mkdir()
    for index in range(4):
      data = tf.io.encode_png(np.full([8, 8, 3], 60 * index, np.uint8)).numpy()
      # The header of the second is damaged, of the third what follows it.
      data = {1: b'no image', 2: data[:40] + b'\0' * 20}.get(index, data)
      (folder / f'{index}.png').write_bytes(data)
    ended = runs.call(
        'predict',
        f'--workdir={runs.finished()}',
        f'--output={folder}.jsonl',
        str(folder),
    )
    self.assertEqual(ended.code, 0, ended.err)
    notes = [x for x in ended.out.splitlines() if x.endswith('; skipped.')]
    self.assertLen(notes, 2, ended.out)
    for line, index in zip(notes, (1, 2), strict=True):
      self.assertIn(f'{folder}/{index}.png: ', line)
    lines = folder.with_suffix('.jsonl').read_text().splitlines()
    self.assertEqual(
        [json.loads(line)['source'] for line in lines],
        [f'{folder}/{index}.png' for index in (0, 3)],
    )
    ended = runs.call(
        'predict', f'--workdir={runs.finished()}', f'{folder}/1.png'
    )
    self.assertEqual((ended.code, ended.err.count('\n')), (2, 1), ended.err)

  def test_another_data_set_with_and_without_labels(self):
    seed, size = np.random.default_rng(0), 30
    images = seed.integers(0, 256, [size, 8, 8, 3], np.uint8)
    for name, label in ('with', {'label': np.arange(size) % 4}), ('bare', {}):
      path = self.root / f'{name}.npz'
      np.savez(path, image=images, **label)
      self.predict(
          f'--dataset=npz:{path}',
          '--split=all',
          f'--output={self.root}/{name}.jsonl',
      )
    found = {
        name: [
            json.loads(line)
            for line in (self.root / f'{name}.jsonl').read_text().splitlines()
        ]
        for name in ('with', 'bare')
    }
    self.assertLen(found['bare'], size)
    labels = [row.pop('label') for row in found['with']]
    self.assertLen(set(labels), 4)
    self.assertEqual(found['with'], found['bare'])


class MasksTest(absltest.TestCase):

  def test_masks_are_images_of_classes(self):
    masks = np.arange(32).reshape([2, 4, 4]) % 3
    sources = np.array(['a/x.png', 'b'], object)
    known = {'index': np.arange(2), 'source': sources}
    folder = pathlib.Path(runs.scratch(self)) / 'masks'
    (folder.parent / 'masks.tmp').mkdir()  # Of a user.
    self.assertEqual(
        prediction_files.write(folder, [(known, {'mask': masks})]), 2
    )
    self.assertEqual(sorted(os.listdir(folder.parent)), ['masks', 'masks.tmp'])
    names = ['00000_x.png', '00001_b.png']
    self.assertEqual(sorted(path.name for path in folder.iterdir()), names)
    for name, mask in zip(names, masks, strict=True):
      with Image.open(folder / name) as image:
        np.testing.assert_array_equal(np.asarray(image), mask)
        self.assertEqual(
            image.convert('RGB').getpixel((0, 0)) == (0, 0, 0), mask[0, 0] == 0
        )
    with self.assertRaisesRegex(programs.UserError, 'exists'):
      prediction_files.check(folder)

  def test_a_run_without_masks_writes_no_folder(self):
    folder = pathlib.Path(runs.scratch(self)) / 'masks'
    with self.assertRaisesRegex(programs.UserError, 'no masks'):
      prediction_files.write(folder, [({'index': np.arange(1)}, {})])
    self.assertEmpty(list(folder.parent.iterdir()))

  def test_masks_are_no_columns(self):
    path = pathlib.Path(runs.scratch(self)) / 'out.csv'
    parts = [({'index': np.arange(1)}, {'mask': np.zeros([1, 40, 40], int)})]
    with self.assertRaisesRegex(programs.UserError, '1,600 numbers.*jsonl'):
      prediction_files.write(path, parts)
    self.assertEmpty(list(path.parent.iterdir()))
    for suffix in '.jsonl', '.parquet', '.npz':
      path = path.with_suffix(suffix)
      self.assertEqual(prediction_files.write(path, parts), 1)
    [line] = path.with_suffix('.jsonl').read_text().splitlines()
    self.assertLen(json.loads(line)['mask'], 40)
    table = parquet.read_table(path.with_suffix('.parquet'))
    self.assertLen(table['mask'][0], 40)

  def test_targets_by_name(self):
    several = spec_lib.Feature('classes', (3,), 'int8', ('a', 'b', 'c'))
    self.assertEqual(
        predicting.decoded(several, np.array([[1, 0, 1], [0, 0, 0]])).tolist(),
        ['a,c', ''],
    )
    one = spec_lib.Feature('class', (), 'int64', ('a', 'b'))
    self.assertEqual(
        predicting.decoded(one, np.array([1, -1, 0, 2])).tolist(),
        ['b', '', 'a', ''],
    )


if __name__ == '__main__':
  absltest.main()
