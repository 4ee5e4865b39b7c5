"""Tests of launch.train with several workers: processes on this machine."""

from __future__ import annotations

import json
import os
import pathlib
import signal
from unittest import mock

import pytest
from absl.testing import absltest

from tests import small_datasets
from tests.launch import boards, runs, workers


class WorkersTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.workdir = self.root / 'run'

  @pytest.mark.medium
  def test_two_processes_give_what_one_gives(self):
    """25 validation examples in batches of 12: one worker ends without any."""
    changes = dict(
        num_steps=50,
        log_every_steps=1,
        optimizer='sgd',
        learning_rate=0.1,
        early_stopping_patience=9,
        plateau_patience=1,
        max_minutes=60.0,
        init_from=str(runs.finished()),
        histogram_every_steps=25,
        profile_steps='10:12',
    )
    processes = workers.start(self.workdir, runs.config(**changes))
    with runs.ending(*processes):
      runs.train(self.root / 'one', **changes)
      chief, other = map(runs.finish, processes)
    self.assertEqual((chief.code, chief.err), (0, ''))
    self.assertEqual(tuple(other), (0, '', ''))
    self.assertIn('over 2 CPU replica(s)', chief.out)
    workers.assert_equal(self, self.workdir, self.root / 'one')
    result, same = map(runs.result, (self.workdir, self.root / 'one'))
    for name in ('num_examples', 'per_class'):
      self.assertEqual(result['test'][name], same['test'][name])
    self.assertEqual(result['num_validation_examples'], runs.NUM_VALIDATION)
    self.assertEqual(result['num_train_step_traces'], 1)
    configs = [
        json.loads((workdir / 'config.json').read_text())
        for workdir in (self.workdir, self.root / 'one')
    ]
    self.assertEqual(*(each['initial'] for each in configs))
    self.assertEqual(
        configs[0]['initial']['sha256'], runs.digest(runs.finished())
    )
    # Only the chief wrote: no second summary, no scratch of the other's.
    self.assertCountEqual(
        os.listdir(self.workdir), os.listdir(self.root / 'one')
    )
    self.assertCountEqual(
        os.listdir(self.workdir / 'checkpoints'),
        os.listdir(self.root / 'one' / 'checkpoints'),
    )
    for split in ('train', 'validation'):
      self.assertLen(os.listdir(self.workdir / 'summaries' / split), 1)
    traces = (self.workdir / 'summaries' / 'plugins').rglob('*.xplane.pb')
    self.assertLen(list(traces), 1)
    norms = [
        boards.read(path / 'summaries' / 'train')['gradient_norm']
        for path in (self.workdir, self.root / 'one')
    ]
    self.assertEqual(list(norms[0]), [25, 50])
    for step, norm in norms[0].items():
      self.assertAlmostEqual(norm, norms[1][step], places=4)

  def test_workers_that_differ_end_all_before_a_file_is_written(self):
    """Of flags, and of the data that each sees: a mistake of one is all's."""
    config = runs.config(num_steps=5)
    other = ['--learning_rate=0.5', '--global_batch_size=24']
    with runs.ending(
        *(processes := workers.start(self.workdir, config, own=([], other)))
    ):
      for ended in map(runs.finish, processes):
        self.assertEqual(ended.code, 2, ended.err)
        self.assertEqual(ended.err.count('\n'), 1)
        self.assertRegex(
            ended.err,
            r'the workers differ in --learning_rate: 0.003 at worker 0 '
            r'\(localhost:\d+\), 0.5 at worker 1 \(localhost:\d+\); '
            r'--global_batch_size: 12 at worker 0',
        )
    self.assertFalse(self.workdir.exists())

  @pytest.mark.slow
  def test_data_that_differ_end_all(self):
    """Other examples of the same set; a folder without the set."""
    config = runs.config(num_steps=5)
    others = [self.root / name for name in ('other', 'none')]
    arrays = small_datasets.arrays
    with mock.patch.object(
        small_datasets, 'arrays', lambda *args: arrays(*args[:3], args[3] + 9)
    ):
      small_datasets.write(
          others[0],
          num_train=runs.NUM_TRAIN + runs.NUM_VALIDATION,
          num_test=runs.NUM_TEST,
      )
    others[1].mkdir()
    for folder, message in zip(
        others,
        (
            r'differ in examples of train: \w{12}\.\.\. at worker 0 .*;'
            r' examples '
            'of validation',
            'tiny_shapes',
        ),
    ):
      own = ([], [f'--data_dir={folder}'])
      with runs.ending(
          *(processes := workers.start(self.workdir, config, own=own))
      ):
        chief, other = map(runs.finish, processes)
      self.assertEqual((chief.code, other.code), (2, 2), chief.err)
      for each in (chief, other):
        self.assertEqual(each.err.count('\n'), 1, each.err)
        self.assertRegex(each.err, message)
      self.assertFalse(self.workdir.exists())
    self.assertRegex(chief.err, r'worker 1 \(localhost:\d+\): ')

  @pytest.mark.slow
  def test_directories_that_differ_end_all(self):
    """A run of the one, a directory that is not shared of the other."""
    config = runs.config(num_steps=5)
    runs.train(self.workdir, num_steps=5)
    own = ([], [f'--workdir={self.root}/elsewhere'])
    with runs.ending(
        *(processes := workers.start(self.workdir, config, own=own))
    ):
      for ended in map(runs.finish, processes):
        self.assertEqual(ended.code, 2, ended.err)
        self.assertRegex(
            ended.err,
            'differ in the run in --workdir: .*, complete at worker '
            r'0 .*, none at worker 1',
        )

  @pytest.mark.medium
  def test_a_directory_that_is_not_shared_ends_all_at_the_start(self):
    """Of a new run, as on a node where the file system is not mounted."""
    own = ([], [f'--workdir={self.root}/elsewhere'])
    processes = workers.start(self.workdir, runs.config(num_steps=5), own=own)
    with runs.ending(*processes):
      for ended in map(runs.finish, processes):
        self.assertEqual(ended.code, 2, ended.err)
        self.assertRegex(
            ended.err,
            r'differ in --workdir: this run at worker 0 .*, no run '
            r'at worker 1',
        )
    self.assertFalse((self.workdir / 'metrics.jsonl').exists())

  @pytest.mark.slow
  def test_one_that_does_not_come(self):
    config = runs.config(num_steps=5)
    own = (['--start_timeout=8'], ['--start_timeout=8'])
    for missing in (0, 1):
      processes = workers.start(self.workdir, config, own=own)
      with runs.ending(*processes):
        processes[missing].kill()
        ended = runs.finish(processes[1 - missing])
      self.assertEqual(ended.code, 1)
      names = rf'worker {1 - missing} \(.*\) %s worker {missing} \(.*\)'
      self.assertRegex(ended.out, names % 'waits for')
      self.assertRegex(ended.err, names % 'has waited 8 s for')
      self.assertEqual(ended.err.count('\n'), 1)
      self.assertFalse(self.workdir.exists())

  @pytest.mark.slow
  def test_interrupted_lost_and_started_again(self):
    config = runs.config(
        num_steps=2500,
        log_every_steps=50,
        eval_every_epochs=100,
        checkpoint_every_steps=300,
    )
    with runs.ending(*(processes := workers.start(self.workdir, config))):
      # Whichever worker is told, both save the same step and leave.
      runs.wait_for_step(processes[0], self.workdir, 100)
      processes[1].send_signal(signal.SIGTERM)
      chief, other = map(runs.finish, processes)
    self.assertEqual((chief.code, other.code), (143, 143))
    self.assertIn('the same command goes on from there', chief.out)
    self.assertEqual((chief.err, other.err), ('', ''))
    step = runs.rows(self.workdir)[-1]['step']
    for victim in (1, 0):
      with runs.ending(*(processes := workers.start(self.workdir, config))):
        step += 600
        runs.wait_for_step(processes[0], self.workdir, step)
        processes[victim].kill()
        left = runs.finish(processes[1 - victim])
      self.assertEqual(left.code, 1, left.err)
      [line] = [
          each for each in left.err.splitlines() if 'launch.train' in each
      ]
      self.assertRegex(
          line, rf'worker {1 - victim} \(.*\) lost worker {victim} \(.*\)'
      )
      self.assertNotIn('Traceback', left.err)
    with runs.ending(*(processes := workers.start(self.workdir, config))):
      chief, other = map(runs.finish, processes)
    self.assertEqual((chief.code, other.code), (0, 0), chief.err)
    whole = self.root / 'whole'
    with runs.ending(*(processes := workers.start(whole, config))):
      for process in processes:
        runs.finish(process)
    self.assertEqual(runs.digest(self.workdir), runs.digest(whole))
    self.assertEqual(runs.rows(self.workdir), runs.rows(whole))
    with runs.ending(*(processes := workers.start(whole, config, 'evaluate'))):
      chief, other = map(runs.finish, processes)
    self.assertEqual((chief.code, chief.err), (0, ''))
    self.assertEqual(tuple(other), (0, '', ''))
    scored = json.loads((whole / 'evaluation_test.json').read_text())
    for name, value in runs.result(whole)['test'].items():
      self.assertEqual(scored[name], value, name)


if __name__ == '__main__':
  absltest.main()
