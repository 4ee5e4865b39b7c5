"""Tests of launch.sweep."""

from __future__ import annotations

import csv
import json
import os
import pathlib
import signal
import sys
import time
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from launch.files import locks
from tests.launch import runs

_FLAGS = (
    '--dataset=tests.launch.tasks.small_sets:classification',
    '--model=tabular',
    '--num_epochs=3',
    '--global_batch_size=8',
    '--checkpoint_every_steps=5',
)
_GRID = """
learning_rate = [0.03, 0.0003]
model_arg.hidden_sizes = [[16], [8, 8], [32], [32, 16]]
"""

_PARTS = """
import tensorflow as tf


class Needs:

  def __init__(self, limit):
    pass

  def __call__(self, step, values):
    return None


class Backwards:

  def next(self, step):
    return step - 1

  def __call__(self, step, values):
    return None


def mean(labels, predictions):
  return tf.reduce_mean(predictions)


def fails():
  return {}['here']
"""


class _TestCase(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.folder = self.root / 'sweep'

  def arguments(self, *more, space=_GRID, folder=None):
    path = self.root / 'space.toml'
    path.write_text(space)
    return (
        f'--workdir={folder or self.folder}',
        f'--space={path}',
        *_FLAGS,
        *more,
    )

  def start(self, *more, **options):
    return runs.start('sweep', *self.arguments(*more, **options))

  def sweep(self, *more, code=0, **options):
    ended = runs.call('sweep', *self.arguments(*more, **options))
    self.assertEqual(ended.code, code, ended)
    return ended

  def table(self, folder=None):
    with open((folder or self.folder) / 'sweep.csv') as file:
      return list(csv.DictReader(file))

  def results(self):
    return sorted(self.folder.glob('trials/*/*/result.json'))


class MistakeTest(_TestCase):

  @parameterized.parameters(
      ('', 'it names no flag'),
      ('lerning_rate = [1]', 'no flag of launch.train'),
      ('learning_rate = {min = 1.0, max = 0.5}', 'min = 1.0 is greater'),
      ('learning_rate = {min = 0.1, max = 0.5}', 'a grid needs a list'),
      (
          'learning_rate = [0.1, -1.0]',
          '--learning_rate=-1.0: expected a number',
      ),
      ('num_epochs = [1.5]', '--num_epochs=1.5'),
      ('model = ["tabular", "tabluar"]', 'did you mean tabular?'),
      (
          'model = ["mlp"]\nmodel_arg.missing = ["mean"]',
          '--model=mlp: --model_arg=missing: no such',
      ),
  )
  def test_in_the_space(self, space, message):
    ended = runs.call('sweep', *self.arguments(space=space))
    self.assertEqual((ended.code, ended.out), (2, ''), ended)
    self.assertIn(message, ended.err)
    self.assertStartsWith(ended.err.partition(': ')[2], '--')
    self.assertEqual(ended.err.count('\n'), 1, ended.err)
    self.assertFalse(self.folder.exists())

  @parameterized.parameters(
      (('--method=random',), '--num_trials is missing'),
      (('--seed=3',), '--search_seed'),
      (('--num_trials=0',), '--num_trials'),
      (('--space=',), '--space is missing'),
      (('--space=/nowhere',), 'there is no such file'),
      (('--workdir=/a,b', '--prune=1'), 'without a comma'),
      (('--parallell=2',), 'Did you mean --parallel?'),
      ((f'--workdir={runs.ROOT}/setup.py',), 'not a directory'),
  )
  def test_in_the_flags(self, flags, message):
    ended = runs.call('sweep', *self.arguments(*flags))
    self.assertEqual((ended.code, ended.out), (2, ''), ended)
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1, ended.err)
    self.assertFalse(self.folder.exists())

  @parameterized.parameters(
      ('hooks', 'Needs', 'needs limit', ''),
      ('hooks', 'Backwards', 'next(0) returned -1', ''),
      ('loss', 'mean', 'it returned one number', ''),
      ('metrics', 'fails', "KeyError: 'here'", ''),
      # One that only the second value has.
      ('loss', 'mean', 'it returned one number', '"softmax_cross_entropy", '),
  )
  def test_in_a_part(self, flag, name, message, before):
    (self.root / 'sweep_parts.py').write_text(_PARTS)
    self.addCleanup(runs.forget, 'sweep_parts')
    part = f'{self.root}/sweep_parts.py:{name}'
    space, more = 'learning_rate = [0.1, 0.2]', (f'--{flag}={part}',)
    if before:
      space, more = f'{flag} = [{before}"{part}"]', ()
    ended = runs.call('sweep', *self.arguments(*more, space=space))
    self.assertEqual((ended.code, ended.out), (2, ''), ended)
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1, ended.err)
    self.assertFalse(self.folder.exists())

  def test_in_the_data(self):
    ended = runs.call('sweep', *self.arguments('--dataset=npz:nowhere.npz'))
    self.assertEqual((ended.code, ended.out), (2, ''), ended)
    self.assertIn('nowhere.npz: there is no such file', ended.err)
    self.assertFalse(self.folder.exists())

  def test_the_directory_of_a_run(self):
    ended = runs.call('sweep', *self.arguments(f'--workdir={runs.finished()}'))
    self.assertEqual(ended.code, 2)
    self.assertIn('holds a run', ended.err)

  def test_optuna_is_missing(self):
    with mock.patch.dict(sys.modules, optuna=None):
      ended = runs.call(
          'sweep', *self.arguments('--method=optuna', '--num_trials=2')
      )
    self.assertEqual(ended.code, 2)
    self.assertIn(f"pip install '{runs.ROOT}[sweep]' brings it.\n", ended.err)
    self.assertFalse(self.folder.exists())

  def test_another_sweep_is_on(self):
    with locks.held(self.folder):
      ended = runs.call('sweep', *self.arguments())
      self.assertEqual(ended.code, 2)
      self.assertIn('is in use by process', ended.err)
      self.assertEqual(os.listdir(self.folder), ['lock'])


class SweepTest(_TestCase):

  @pytest.mark.medium
  def test_runs_are_trained_once_and_another_sweep_is_refused(self):
    space = 'learning_rate = [0.03, 1e30, 0.0003]'
    ended = self.sweep('--parallel=2', '--num_trials=2', space=space)
    self.assertLen(self.results(), 1)
    self.assertRegex(ended.out, r'trial 1, seed 0: .*(not finite|NaN)')
    self.assertRegex(ended.out, r'(?m)^1 +1e\+30 +0 +seed 0 failed: ')
    self.assertIn(
        f'best: trial 0, --learning_rate=0.03; {self.folder}/report', ended.out
    )
    run = self.folder / 'trials' / '0000' / 'seed_0'
    config = json.loads((run / 'config.json').read_text())['config']
    self.assertEqual((config['learning_rate'], config['seed']), (0.03, 0))
    self.assertAlmostEqual(
        float(self.table()[0]['validation_accuracy']),
        runs.result(run)['validation_accuracy'],
    )
    self.assertEqual(runs.result(run)['direction'], 'max')
    before = (run / 'result.json').stat().st_mtime_ns
    files = sorted(self.folder.rglob('*'))
    for more, message in (
        (('--num_epochs=4',), '--num_epochs: 4, not 3'),
        (('--method=random', '--num_trials=2'), '--method: random, not grid'),
        (('--prune=3',), '--prune: 3, not None'),
    ):
      ended = runs.call('sweep', *self.arguments(*more, space=space))
      self.assertEqual(ended.code, 2)
      self.assertIn(f'holds another sweep: {message}', ended.err)
    ended = runs.call('sweep', *self.arguments(space='learning_rate = [0.03]'))
    self.assertIn("--space: {'learning_rate': [0.03]}, not {'l", ended.err)
    self.assertEqual(sorted(self.folder.rglob('*')), files)
    # More trials, and what failed again.
    ended = self.sweep('--parallel=2', space=space)
    self.assertNotIn('trial 0, seed', ended.out)
    self.assertIn('trial 2, seed 0: validation_accuracy 0.', ended.out)
    self.assertEqual((run / 'result.json').stat().st_mtime_ns, before)
    self.assertEqual([row['trial'] for row in self.table()], ['0', '2', '1'])

  @pytest.mark.slow
  def test_killed_half_way(self):
    """Eight trials; also of Optuna, and with a signal that saves."""
    for method in ('grid', 'optuna'):
      with self.subTest(method):
        flags = (f'--method={method}', '--num_trials=8', '--parallel=2')
        whole = self.root / f'{method}_whole'
        self.sweep(*flags, folder=whole)
        self.folder = self.root / method
        ends = (signal.SIGKILL, signal.SIGTERM)
        for number, end in zip((3, 5), ends):
          process = self.start(*flags)
          with runs.ending(process):
            deadline = time.monotonic() + 300
            while len(self.results()) < number:
              self.assertLess(time.monotonic(), deadline)
              self.assertIsNone(process.poll())
              time.sleep(0.02)
            process.send_signal(end)
            ended = runs.finish(process)
          if end == signal.SIGTERM:
            self.assertEqual(ended.code, 128 + end, ended)
            self.assertRegex(
                ended.err, r'interrupted by SIGTERM; \d of 8 runs are complete'
            )
        done = {path: path.stat().st_mtime_ns for path in self.results()}
        self.assertBetween(len(done), 5, 7)
        ended = self.sweep(*flags)
        self.assertEqual(ended.out.count(', seed 0: '), 8 - len(done))
        for path, written in done.items():
          self.assertEqual(path.stat().st_mtime_ns, written)
        self.assertEqual(self.table(), self.table(whole))
        for name in ('trials/0005/seed_0', 'trials/0007/seed_0'):
          self.assertEqual(
              *(runs.digest(folder / name) for folder in (self.folder, whole))
          )

  @pytest.mark.slow
  def test_pruned(self):
    self.sweep(
        '--prune=2',
        '--seeds=2',
        space='learning_rate = [0.03, 0.02, 0.000001]',
    )
    last = self.table()[-1]
    self.assertEqual((last['trial'], last['note']), ('2', '2 pruned at step 5'))
    run = self.folder / 'trials' / '0002' / 'seed_1'
    self.assertEqual(runs.result(run)['stopped']['hook'], 'worse_than_median')
    # Its hook is one of ours: the run is used as any other.
    ended = runs.call('evaluate', f'--workdir={run}')
    self.assertEqual(ended.code, 0, ended)


if __name__ == '__main__':
  absltest.main()
