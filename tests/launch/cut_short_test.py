"""Tests of signals while a split is scored, and of runs in a thread."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import threading
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from launch import programs, training_program
from launch.evaluating import evaluation
from launch.reporting import inspecting, writing
from launch.training import call_length
from tests.launch import runs, workers

_WORKER = """
import os, signal, sys
from launch.evaluating import evaluation
from launch import train, programs
run = evaluation.Evaluator.run
score = evaluation.Evaluator._score
def signalled(self, state, split):
  self.is_signalled = (
      split == {split!r} and '"index": 1' in os.environ['TF_CONFIG']
  )
  return run(self, state, split)
def scored(self, state, data_loop, num_steps):
  def with_signal(*args):
    if self.is_signalled:
      signal.raise_signal(signal.SIGTERM)
    return data_loop(*args)
  return score(self, state, with_signal, num_steps)
evaluation.Evaluator._score = scored
evaluation.Evaluator.run = signalled
train.program()
"""
_CHANGES = dict(early_stopping_patience=9, plateau_patience=1, ema_decay=0.9)


class CutShortTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    # Each step is a call, between which signals are heard.
    self.enter_context(mock.patch.object(call_length, 'CALL_SECS', 0.0))

  def signalled(self, split, nth=1):
    """Sends a signal while a split is scored for the nth time."""
    run, scorings = evaluation.Evaluator.run, []

    def wrapped(evaluator, state, name):
      scorings.extend([1] * (name == split))
      if name != split or len(scorings) != nth:
        return run(evaluator, state, name)
      score = evaluator._score

      def scored(state, data_loop, num_steps):
        def with_signal(*args):
          signal.raise_signal(signal.SIGTERM)
          return data_loop(*args)

        return score(state, with_signal, num_steps)

      with mock.patch.object(evaluator, '_score', scored):
        return run(evaluator, state, name)

    return mock.patch.object(evaluation.Evaluator, 'run', wrapped)

  @pytest.mark.medium
  def test_in_a_validation(self):
    """It ends there; the rows of what goes on are those of an unbroken run."""
    changes = dict(_CHANGES, checkpoint_every_steps=7)
    whole, workdir = self.root / 'whole', self.root / 'run'
    runs.train(whole, **changes)
    # Twice in the first validation, and in that of the last step.
    for nth, step, killed in ((1, 20, False), (1, 20, True), (2, 40, True)):
      with self.signalled('validation', nth):
        ended = runs.train(workdir, **changes)
      self.assertEqual((ended.code, ended.err), (143, ''))
      self.assertIn(f'Interrupted: saved step {step} of 40', ended.out)
      last = runs.rows(workdir)[-1]
      self.assertEqual((last['step'], last['split']), (step, 'train'))
      if not killed:
        continue
      # As of a process that was killed once the validation was done again.
      row = next(
          row
          for row in runs.raw_rows(whole)
          if (row['step'], row['split']) == (step, 'validation')
      )
      with open(workdir / 'metrics.jsonl', 'a') as file:
        file.write(json.dumps(row) + '\n')
    self.assertEqual(runs.train(workdir, **changes).code, 0)
    self.assertEqual(runs.rows(workdir), runs.rows(whole))
    self.assertEqual(runs.digest(workdir), runs.digest(whole))
    for name in ('best_step', 'test', 'best'):
      self.assertEqual(
          runs.result(workdir).get(name), runs.result(whole).get(name)
      )
    self.assertEqual(
        sorted(each.name for each in (workdir / 'checkpoints/best').iterdir()),
        sorted(each.name for each in (whole / 'checkpoints/best').iterdir()),
    )

  def test_while_the_report_is_written(self):
    """The plots are written before it leaves: an import may lose a signal."""
    workdir = self.root / 'run'
    shutil.copytree(runs.finished(), workdir)
    (workdir / 'result.json').unlink()
    shutil.rmtree(workdir / 'report')
    write = writing._write

    def signalled(*args, **options):
      signal.raise_signal(signal.SIGTERM)
      write(*args, **options)

    with mock.patch.object(writing, '_write', signalled):
      ended = runs.train(workdir)
    self.assertEqual(ended.code, 143)
    self.assertIn('interrupted by SIGTERM', ended.err)
    self.assertCountEqual(
        os.listdir(workdir / 'report'),
        os.listdir(runs.finished() / 'report'),
    )
    self.assertEqual(runs.train(workdir).code, 0)
    self.assertTrue((workdir / 'result.json').exists())

  def test_while_examples_are_looked_at(self):
    """That may take long: it leaves after some seconds, with nothing."""
    workdir = self.root / 'run'
    shutil.copytree(runs.finished(), workdir)
    (workdir / 'result.json').unlink()
    shutil.rmtree(workdir / 'report')
    largest = inspecting._largest

    def signalled(*args):
      signal.raise_signal(signal.SIGTERM)
      return largest(*args)

    with (
        mock.patch.object(inspecting, '_largest', signalled),
        mock.patch.object(inspecting, '_PATIENCE_SECS', -1),
    ):
      ended = runs.train(workdir)
    self.assertEqual(ended.code, 143)
    self.assertIn('interrupted by SIGTERM; give the same', ended.err)
    self.assertFalse((workdir / 'report').exists())
    self.assertFalse((workdir / 'result.json').exists())

  def test_in_the_final_test(self):
    workdir = self.root / 'run'
    shutil.copytree(runs.finished(), workdir)
    (workdir / 'result.json').unlink()
    with self.signalled('test'):
      ended = runs.train(workdir)
    self.assertEqual(ended.code, 143)
    self.assertRegex(ended.err, r'^.*interrupted by SIGTERM; give the same.*$')
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertFalse((workdir / 'result.json').exists())
    self.assertEqual(runs.train(workdir).code, 0)
    self.assertEqual(runs.digest(workdir), runs.digest(runs.finished()))
    self.assertEqual(runs.rows(workdir), runs.rows(runs.finished()))

  @pytest.mark.medium
  def test_in_a_thread(self):
    """As Ray runs a user's code; signals are the main thread's there."""
    before = [signal.getsignal(number) for number in signal.Signals]
    config = runs.config(
        workdir=str(self.root / 'run'),
        strategy='mirrored',
        data_dir=runs.data_dir(),
        num_steps=9,
    )
    results = []

    def run():
      results.append(programs.call(lambda: training_program.exit_code(config)))
      results.append(training_program.run(config))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    self.assertEqual(results[0], 0)
    self.assertEqual(results[1].values['num_steps'], 9)
    self.assertEqual(
        [signal.getsignal(number) for number in signal.Signals], before
    )

  @parameterized.parameters('validation', 'test')
  @pytest.mark.slow
  def test_of_one_worker_ends_all(self, split):
    """The other one leaves with the same code, and all goes on exactly."""
    config = runs.config(**_CHANGES)
    flags = [*runs.arguments(config), f'--workdir={self.root}/run']
    runs.train(self.root / 'one', **_CHANGES)

    def start(*command):
      return [
          runs.start_python(*command, *flags, environment=environment)
          for environment in workers.environments(2)
      ]

    for command, code in (
        (['-c', _WORKER.format(split=split)], 143),
        (['-m', 'launch.train'], 0),
    ):
      with runs.ending(*(processes := start(*command))):
        for ended in map(runs.finish, processes):
          self.assertEqual(ended.code, code, ended.err)
    workers.assert_equal(self, self.root / 'run', self.root / 'one')


if __name__ == '__main__':
  absltest.main()
