"""Runs of a task that is not of images: a regression of a table.

Covers: files.checksums, files.data_files.
"""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import pytest
from absl.testing import absltest

from launch import data as data_lib
from tests.launch import houses, runs


class HousesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def test_beats_the_mean(self):
    workdir = houses.finished()
    result = runs.result(workdir)
    values = result['test']['values']
    self.assertEqual(result['test_rmse'], values['rmse'])
    self.assertLess(values['rmse'], 0.3 * values['baseline_rmse'])
    self.assertEqual(
        result['best_validation']['rmse'],
        min(row['rmse'] for row in runs.rows(workdir, 'validation')),
    )
    self.assertEqual(
        result['validation_rmse'], result['last_validation']['rmse']
    )
    self.assertTrue((workdir / 'report' / 'predictions.png').exists())
    self.assertTrue((workdir / 'report' / 'curves.png').exists())
    config = json.loads((workdir / 'config.json').read_text())
    data = data_lib.DataSpec.from_json(config['data'])
    self.assertEqual(data.spec['numbers'].columns, ('rooms', 'area'))
    self.assertBetween(data.target_mean[0], 100_000, 300_000)

  @pytest.mark.medium
  def test_another_example_is_named(self):
    generator = np.random.default_rng(0)
    path, arrays = self.root / 'data.npz', {}
    for split, size in (('train', 40), ('validation', 10), ('test', 10)):
      arrays[f'{split}_numbers'] = generator.normal(size=[size, 3])
      arrays[f'{split}_label'] = generator.normal(size=[size])

    def train(num_steps, **changes):
      np.savez(path, **arrays)
      return runs.train(
          self.root / 'run',
          dataset=f'npz:{path}',
          num_steps=num_steps,
          **houses.CONFIG,
          **changes,
      )

    ended = train(2)
    self.assertEqual(ended.code, 0, ended.err)
    self.assertEqual(train(3).code, 0)
    arrays['train_numbers'][7, 1] += 1
    ended = train(4)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(
        'other data: the first that differs is example 7 of train', ended.err
    )
    ended = train(4, accept_changes=True)
    self.assertEqual(ended.code, 0, ended.err)
    self.assertEqual(train(5).code, 0)
    kept = arrays['validation_label'].copy()
    arrays['validation_label'][2:4] += 1
    self.assertIn('differs is example 2 of validation', train(6).err)
    # Nor is it said to be complete on them; files of the same bytes are fine.
    ended = train(5)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn('differs is example 2 of validation', ended.err)
    arrays['validation_label'] = kept
    ended = train(5)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('is complete', ended.out)
    path.rename(path.with_name('elsewhere.npz'))
    ended = runs.train(
        self.root / 'run', dataset=f'npz:{path}', num_steps=5, **houses.CONFIG
    )
    self.assertIn('is complete', ended.out)

  @pytest.mark.medium
  def test_evaluate_and_export(self):
    workdir = shutil.copytree(houses.finished(), self.root / 'run')
    ended = runs.call('evaluate', f'--workdir={workdir}')
    self.assertEqual((ended.code, ended.err), (0, ''))
    scored = json.loads((workdir / 'evaluation_test.json').read_text())
    test = runs.result(workdir)['test']
    for name, value in test.items():
      self.assertEqual(scored[name], value, name)
    ended = runs.call('export', f'--workdir={workdir}')
    self.assertEqual(ended.code, 0, ended.err)
    report = json.loads((workdir / 'exports' / 'parity.json').read_text())
    self.assertLen(report['exports'], 2)
    for row in report['exports']:
      self.assertEqual(row['input'], 'numbers, categories')
      self.assertLess(row['max_difference'], 1e-5)
      self.assertEqual(row['num_examples'], test['num_examples'])


if __name__ == '__main__':
  absltest.main()
