"""Tests of launch.building: what a run logs, saves and goes on with.

Covers: training.opening, training.results.
"""

from __future__ import annotations

import os
import pathlib
import signal
from unittest import mock

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from core.models import speednet
from launch import interruption
from launch.hooks import saving
from launch.training import call_length
from tests.launch import runs

_ROW = {'step', 'epoch', 'split', 'wall_time', 'loss', 'accuracy'}
_LAST_STEP = 2 * runs.STEPS_PER_EPOCH

# A process that trains and kills itself on the way.
_KILLED = """
import signal
from tests.launch import runs
with runs.signal_at(36, signal.SIGKILL):
  runs.call('train', *{})
"""


class _TestCase(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def train(self, name='run', code=0, **changes):
    workdir = self.root / name
    ended = runs.train(workdir, **changes)
    self.assertEqual(ended.code, code, ended.err)
    return workdir

  def checkpoints(self, workdir):
    return sorted(
        int(path.stem.split('-')[1])
        for path in (workdir / 'checkpoints').glob('ckpt-*.index')
    )


class LogTest(_TestCase):

  def test_rows_and_result(self):
    workdir = runs.finished()
    rows = runs.raw_rows(workdir)
    train = [row for row in rows if row['split'] == 'train']
    validation = [row for row in rows if row['split'] == 'validation']
    self.assertLen(rows, len(train) + len(validation))
    self.assertEqual(
        [row['step'] for row in train], [7, 14, 20, 21, 28, 35, 40]
    )
    self.assertEqual(
        [row['epoch'] for row in train], [0.35, 0.7, 1, 1.05, 1.4, 1.75, 2]
    )
    self.assertEqual([row['step'] for row in validation], [20, 40])
    for row in train:
      self.assertEqual(row.keys(), _ROW | {'learning_rate', *runs.SPEEDS})
      self.assertAlmostEqual(row['learning_rate'], 0.003)
    for row in validation:
      self.assertEqual(
          row.keys(),
          _ROW
          | {
              'num_examples',
              'cross_entropy',
              'macro_precision',
              'macro_recall',
              'macro_f1',
              'weighted_f1',
          },
      )
      self.assertEqual(row['num_examples'], runs.NUM_VALIDATION)
    self.assertGreater(validation[-1]['accuracy'], 0.9)  # The set is easy.
    result = runs.result(workdir)
    self.assertEqual(result['num_train_step_traces'], 1)
    self.assertEqual(result['num_steps'], _LAST_STEP)
    self.assertEqual(result['num_epochs'], 2)
    self.assertEqual(result['num_parameters'], 192 * 16 + 16 + 16 * 4 + 4)
    self.assertEqual(result['num_train_examples'], runs.NUM_TRAIN)
    self.assertEqual(result['num_validation_examples'], runs.NUM_VALIDATION)
    self.assertEqual(result['num_test_examples'], runs.NUM_TEST)
    self.assertEqual(result['last_validation'], validation[-1])
    self.assertEqual(result['validation_accuracy'], validation[-1]['accuracy'])
    self.assertIn(result['best_validation'], validation)
    self.assertEqual(
        result['best_validation']['accuracy'],
        max(row['accuracy'] for row in validation),
    )
    test = result['test']
    self.assertEqual(test['num_examples'], runs.NUM_TEST)
    self.assertEqual(result['test_accuracy'], test['values']['accuracy'])
    confusion = np.array(test['confusion_matrix'])
    self.assertEqual(confusion.sum(), runs.NUM_TEST)
    self.assertAlmostEqual(
        test['values']['accuracy'], np.trace(confusion) / runs.NUM_TEST
    )
    recall = np.diag(confusion) / confusion.sum(1)
    for index, values in enumerate(test['per_class'].values()):
      self.assertAlmostEqual(values['recall'], recall[index], places=6)
    self.assertRegex(result['weights_sha256'], '^[0-9a-f]{64}$')
    self.assertGreater(result['seconds'], result['train_seconds'])
    self.assertGreater(result['images_per_second'], 0)

  def test_a_row_is_the_mean_since_the_row_before(self):
    fine = runs.rows(self.train('fine', log_every_steps=1), 'train')
    coarse = runs.rows(runs.finished(), 'train')
    before = 0
    for row in coarse:
      window = fine[before : row['step']]
      for name in ('loss', 'accuracy'):
        self.assertAlmostEqual(
            row[name], np.mean([each[name] for each in window]), places=6
        )
      before = row['step']

  def test_periods(self):
    workdir = self.train(
        num_epochs=3,
        num_steps=50,  # Overrides the epochs.
        log_every_steps=1000,
        eval_every_epochs=2,
        checkpoint_every_steps=15,
        keep_checkpoints=2,
    )
    self.assertEqual(
        [(row['split'], row['step']) for row in runs.rows(workdir)],
        [
            ('train', 20),
            ('train', 40),
            ('validation', 40),
            ('train', 50),
            ('validation', 50),
        ],
    )
    self.assertEqual(self.checkpoints(workdir), [45, 50])
    self.assertEqual(runs.result(workdir)['num_epochs'], 2.5)

  def test_less_than_an_epoch(self):
    workdir = self.train(num_steps=3)
    self.assertEqual(runs.result(workdir)['num_steps'], 3)
    self.assertEqual(self.checkpoints(workdir), [3])
    self.assertEqual([row['step'] for row in runs.rows(workdir)], [3, 3])


class ReplicasTest(_TestCase):

  @pytest.mark.medium
  def test_any_number_of_replicas_gives_the_same(self):
    # 25 validation examples in batches of 12: the last one has one example, and
    # leaves one of two replicas, two of three, without any.
    changes = dict(
        num_steps=50, log_every_steps=1, optimizer='sgd', learning_rate=0.1
    )
    one, *others = [
        self.train(str(n), num_replicas=n, **changes) for n in (1, 2, 3)
    ]
    for other in others:
      for split in ('train', 'validation'):
        for row, same in zip(
            runs.rows(other, split), runs.rows(one, split), strict=True
        ):
          self.assertEqual(row.keys(), same.keys())
          for name, value in same.items():
            if name == 'split':
              continue
            elif 'loss' in name or 'entropy' in name:
              np.testing.assert_allclose(row[name], value, rtol=1e-5)
            else:
              self.assertEqual(row[name], value, name)
      test, same = runs.result(other)['test'], runs.result(one)['test']
      self.assertEqual(test['num_examples'], runs.NUM_TEST)
      self.assertEqual(test['confusion_matrix'], same['confusion_matrix'])
      self.assertEqual(test['per_class'], same['per_class'])


class ResumeTest(_TestCase):

  @parameterized.parameters(
      (signal.SIGHUP, 9, 1),
      (signal.SIGINT, 1, 1),
      (signal.SIGTERM, runs.STEPS_PER_EPOCH, 2),
      (signal.SIGTERM, _LAST_STEP, 1),  # Before the test split is scored.
  )
  @pytest.mark.medium
  def test_interrupted(self, number, step, num_replicas):
    # Under nohup the tests would start with SIGHUP ignored.
    usual = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    self.addCleanup(signal.signal, signal.SIGHUP, usual)
    before = [signal.getsignal(each) for each in interruption.SIGNALS]
    whole = runs.finished(num_replicas)
    workdir = self.root / 'run'
    with runs.signal_at(step, number):
      ended = runs.train(workdir, num_replicas=num_replicas)
    self.assertEqual((ended.code, ended.err), (128 + number, ''))
    self.assertEqual(
        [signal.getsignal(each) for each in interruption.SIGNALS], before
    )
    [saved] = self.checkpoints(workdir)[-1:]
    self.assertGreaterEqual(saved, step)
    self.assertEqual(saved < _LAST_STEP, step < _LAST_STEP)
    self.assertEqual(
        ended.out.splitlines()[-1],
        f'Interrupted: saved step {saved} of {_LAST_STEP}; the same command '
        'goes on from there.',
    )
    self.assertFalse((workdir / 'result.json').exists())
    ended = runs.train(workdir, num_replicas=num_replicas)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn(
        f'resumed from {workdir}/checkpoints/ckpt-{saved}\n', ended.out
    )
    self.assertEqual(runs.digest(workdir), runs.digest(whole))
    self.assertEqual(runs.rows(workdir), runs.rows(whole))
    self.assertEqual(runs.result(workdir)['test'], runs.result(whole)['test'])
    self.assertEqual(
        runs.result(workdir)['num_train_step_traces'], int(saved < _LAST_STEP)
    )

  @pytest.mark.slow
  def test_initialized_once_and_not_on_resuming(self):
    changes = dict(
        model='speednet', model_arg={'channels': (4,)}, num_replicas=2
    )
    whole = self.train('whole', **changes)
    initialize = mock.Mock(side_effect=speednet.SpeedNet.initialize)
    with mock.patch.object(
        speednet.SpeedNet, 'initialize', lambda *args: initialize(*args)
    ):
      with runs.signal_at(27, signal.SIGTERM):
        workdir = self.train(code=128 + signal.SIGTERM, **changes)
      self.train(**changes)
    initialize.assert_called_once()
    self.assertEqual(
        runs.result(workdir)['weights_sha256'],
        runs.result(whole)['weights_sha256'],
    )

  @pytest.mark.slow
  def test_interrupted_twice_with_all_the_parts(self):
    changes = dict(
        precision='float16',
        ema_decay=0.9,
        model='convnet',
        model_arg={'channels': (4,), 'hidden_size': 8},
        optimizer='adamw',
        schedule='warmup_cosine',
        clip_global_norm=1.0,
        l2_penalty=1e-4,
        checkpoint_every_steps=9,
        normalize=True,
    )
    whole = self.train('whole', **changes)
    for step in (5, 23):
      with runs.signal_at(step, signal.SIGTERM):
        workdir = self.train('run', code=143, **changes)
    self.train('run', **changes)
    self.assertEqual(runs.digest(workdir), runs.digest(whole))
    self.assertEqual(runs.rows(workdir), runs.rows(whole))

  def test_killed_after_the_last_step(self):
    """What is left of a run that was killed while it was tested."""
    whole = self.train()
    expected = runs.digest(whole), runs.rows(whole)
    os.remove(whole / 'result.json')
    self.train()
    self.assertEqual((runs.digest(whole), runs.rows(whole)), expected)

  @pytest.mark.medium
  def test_killed_between_two_checkpoints(self):
    whole = self.train('whole', checkpoint_every_steps=10)
    workdir = self.root / 'run'
    config = runs.config(checkpoint_every_steps=10)
    arguments = [*runs.arguments(config), f'--workdir={workdir}']
    killed = runs.finish(runs.start_python('-c', _KILLED.format(arguments)))
    self.assertEqual(killed.code, -signal.SIGKILL, killed.err)
    # Rows of lost steps are there, and some of them in the next window.
    saved = self.checkpoints(workdir)  # The last may not have been complete.
    self.assertIn(saved, ([10, 20], [10, 20, 30]))
    self.assertEqual(runs.rows(workdir)[-1]['step'], 35)
    self.assertFalse((workdir / 'result.json').exists())
    ended = runs.train(workdir, checkpoint_every_steps=10)
    self.assertIn(f'ckpt-{saved[-1]}\n', ended.out)
    self.assertEqual(runs.digest(workdir), runs.digest(whole))
    self.assertEqual(runs.rows(workdir), runs.rows(whole))


class CheckpointTest(_TestCase):
  """When a run saves that was not told when."""

  @parameterized.parameters(
      (0.0, [runs.STEPS_PER_EPOCH, _LAST_STEP]),
      (1e9, [_LAST_STEP]),
  )
  def test_epochs_of_some_length(self, seconds, steps):
    with mock.patch.object(saving, 'CHECKPOINT_SECS', seconds):
      workdir = self.train(checkpoint_every_steps=None)
    self.assertEqual(self.checkpoints(workdir), steps)
    self.assertEqual(runs.digest(workdir), runs.digest(runs.finished()))

  def test_the_clock_starts_anew_with_a_checkpoint(self):
    def agree(calls, seconds, size, signal):
      del seconds, size, signal
      calls.last_seconds = 8.0 / runs.STEPS_PER_EPOCH  # A call takes one step.
      return False

    with mock.patch.object(call_length.CallLength, 'agree', agree):
      workdir = self.train(num_epochs=5, checkpoint_every_steps=None)
    epochs = [step / runs.STEPS_PER_EPOCH for step in self.checkpoints(workdir)]
    self.assertEqual(epochs, [2, 4, 5])


if __name__ == '__main__':
  absltest.main()
