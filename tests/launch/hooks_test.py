"""Hooks in whole runs: what ends them, what they keep, and over a resume.

Covers: compilations, metrics_writer, saving, standard, validation.
"""

from __future__ import annotations

import functools
import json
import pathlib
import signal
from unittest import mock

import numpy as np
import pytest
from absl.testing import absltest

from launch.reporting import writing
from tests.launch import runs

# Nothing gets better from the first validation on.
_STUCK = dict(learning_rate=1e-12, optimizer='sgd', num_epochs=5)


class _Counts:
  """Remembers the last losses."""

  def init(self):
    return {'count': 0, 'losses': np.zeros(3)}

  def next(self, step):
    return step - step % 5 + 5

  def __call__(self, step, values):
    count = int(self.state['count'].assign_add(1))
    self.state['losses'].scatter_nd_update([[count % 3]], [values['loss']])
    if count == 13:
      return f'{sum(self.state["losses"].numpy()):.12f} in 3'


class _TestCase(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.workdir = self.root / 'run'
    # Plots take longer than these runs.
    patch = mock.patch.object(writing, 'write')
    patch.start()
    self.addCleanup(patch.stop)

  def train(self, name='run', code=0, **changes):
    ended = runs.train(self.root / name, **{'jit_compile': 'off', **changes})
    self.assertEqual(ended.code, code, ended.err)
    return ended

  def stop_at(self, step, name='run', **changes):
    """Trains until a signal comes."""
    with runs.signal_at(step, signal.SIGTERM):
      self.train(name, code=128 + signal.SIGTERM, **changes)

  def validations(self, name='run'):
    rows = runs.rows(self.root / name)
    return [row for row in rows if row['split'] == 'validation']

  def assert_same(self, name, other):
    one, other = self.root / name, self.root / other
    self.assertEqual(runs.digest(one), runs.digest(other))
    self.assertEqual(runs.rows(one), runs.rows(other))
    self.assertEqual(
        runs.result(one).get('stopped'), runs.result(other).get('stopped')
    )


class ResumeTest(_TestCase):
  """What hooks remember: a run with all of them, stopped on the way."""

  def test_with_all_the_hooks(self):
    changes = dict(
        num_epochs=6,
        optimizer='sgd',
        learning_rate=2.0,
        ema_decay=0.5,
        plateau_patience=1,
        plateau_factor=0.25,
        monitor='macro_f1',
        hooks=(_Counts,),
        max_minutes=60.0,
        early_stopping_patience=50,
    )
    ended = self.train('whole', **changes)
    self.stop_at(45, **changes)
    self.train(**changes)
    self.assert_same('run', 'whole')
    result = runs.result(self.workdir)
    # The hook with a memory of its own ended it.
    stopped = result['stopped']
    self.assertEqual((stopped['step'], stopped['hook']), (65, '_Counts'))
    self.assertIn(
        f'_Counts ended the run at step 65: {stopped["reason"]}.', ended.out
    )
    self.assertEqual(result['num_steps'], 65)
    self.assertIn('test_accuracy', result)
    # The learning rate was lowered.
    self.assertIn('without a better macro_f1: from step ', ended.out)
    rates = [
        row['learning_rate']
        for row in runs.rows(self.workdir)
        if row['split'] == 'train'
    ]
    self.assertAlmostEqual(rates[0], 2.0)
    self.assertLess(rates[-1], 0.6)
    # The best weights are those of the best validation.
    self.assertEqual(result['monitor'], 'macro_f1')
    best = self.validations()[
        int(np.argmax([row['macro_f1'] for row in self.validations()]))
    ]
    self.assertEqual(result['best_validation']['step'], best['step'])
    place = (
        f'--workdir={self.workdir}',
        f'--data_dir={runs.data_dir()}',
        '--split=validation',
    )
    for checkpoint in ('best', self.workdir / 'checkpoints' / 'best', 'last'):
      ended = runs.call('evaluate', *place, f'--checkpoint={checkpoint}')
      self.assertEqual((ended.code, ended.err), (0, ''))
      scored = json.loads(
          (self.workdir / 'evaluation_validation.json').read_text()
      )
      if checkpoint == 'last':
        self.assertEqual(scored['step'], 65)
        continue
      self.assertEqual(scored['step'], best['step'])
      for name, value in scored['values'].items():
        self.assertAlmostEqual(value, best[name], 5)

  @pytest.mark.slow
  def test_over_replicas(self):
    changes = dict(
        num_epochs=6,
        optimizer='sgd',
        learning_rate=2.0,
        plateau_patience=1,
        early_stopping_patience=3,
        hooks=(_Counts,),
        num_replicas=2,
    )
    self.train('whole', **changes)
    for step in (25, 45):
      self.stop_at(step, **changes)
    self.train(**changes)
    self.assert_same('run', 'whole')


class EarlyStoppingTest(_TestCase):

  def test_a_run_that_was_killed_stops_at_the_same_step(self):
    changes = dict(early_stopping_patience=2, **_STUCK)
    self.stop_at(45, **changes)
    self.train(**changes)
    result = runs.result(self.workdir)
    self.assertEqual(result['stopped']['hook'], 'EarlyStopping')
    self.assertEqual(result['stopped']['step'], 60)
    self.assertIn('2 validation(s) without', result['stopped']['reason'])
    rows = runs.rows(self.workdir)
    # It was saved, but killed before its result: no step is taken again.
    (self.workdir / 'result.json').unlink()
    self.train(**changes)
    self.assertEqual(runs.rows(self.workdir), rows)
    again = runs.result(self.workdir)
    self.assertEqual(again['num_train_step_traces'], 0)
    for name in ('stopped', 'weights_sha256', 'test'):
      self.assertEqual(again[name], result[name])
    # More epochs change nothing: it would have been ended there.
    ended = self.train(**{**changes, 'num_epochs': 9})
    self.assertRegex(
        ended.out, 'is complete: .* EarlyStopping ended it at step 60: 2 val'
    )

  @pytest.mark.slow
  def test_another_patience_goes_on(self):
    changes = dict(early_stopping_patience=1, **_STUCK)
    self.train(**changes)
    self.assertEqual(runs.result(self.workdir)['num_steps'], 40)
    changes['early_stopping_patience'] = 3
    self.stop_at(50, **changes)
    # What ended it before does not end it now, though its result is there.
    self.train(**changes)
    self.assertEqual(runs.result(self.workdir)['num_steps'], 80)
    self.assertIn('is complete', self.train(**changes).out)
    changes['early_stopping_patience'] = None
    self.train(**changes)
    self.assertNotIn('stopped', runs.result(self.workdir))
    config = json.loads((self.workdir / 'config.json').read_text())
    self.assertIsNone(config['stopped'])
    self.train('whole', **changes)
    self.assert_same('run', 'whole')

  def test_what_cannot_be_judged(self):
    ended = self.train(code=2, monitor='acuracy')
    self.assertRegex(
        ended.err, r'--monitor=acuracy: .* there are: loss, accuracy, .*\.\n$'
    )
    ended = self.train(code=2, early_stopping_patience=1, validation_examples=0)
    self.assertRegex(ended.err, '--early_stopping_patience: nothing is valid')
    self.assertFalse(self.workdir.exists())


class KeepBestTest(_TestCase):

  def test_none_is_kept(self):
    self.train(num_steps=3, keep_best=False)
    self.assertFalse((self.workdir / 'checkpoints' / 'best').exists())
    for program in ('evaluate', 'export'):
      ended = runs.call(
          program,
          f'--workdir={self.workdir}',
          '--checkpoint=best',
          f'--data_dir={runs.data_dir()}',
      )
      self.assertEqual(ended.code, 2)
      self.assertRegex(ended.err, '--checkpoint=best: .* --keep_best')


class OwnHooksTest(_TestCase):

  def test_values_are_those_of_the_rows_and_time_ends_a_run(self):
    seen = []

    def hook(step, values):
      seen.append(('validation', step, values))

    class Often:

      def next(self, step):
        return step - step % 5 + 5

      def __call__(self, step, values):
        seen.append(('often', step, values))

    ended = self.train(max_minutes=1e-9)
    stopped = runs.result(self.workdir)['stopped']
    self.assertEqual(stopped.keys(), {'step', 'hook', 'reason'})
    self.assertEqual((stopped['step'], stopped['hook']), (1, 'MaxMinutes'))
    self.assertIn('test_accuracy', runs.result(self.workdir))
    self.assertIn('MaxMinutes ended the run at step 1', ended.out)
    self.assertIn('is complete', self.train(max_minutes=1e-9).out)
    # It goes on with more of them, and no hook changes a bit.
    self.train(max_minutes=60.0, hooks=(hook, Often))
    self.assertNotIn('stopped', runs.result(self.workdir))
    self.train('whole')
    self.assert_same('run', 'whole')
    rows = {
        (row['step'], row['split']): row for row in runs.raw_rows(self.workdir)
    }
    self.assertEqual(
        [step for name, step, _ in seen if name == 'often'],
        [5, 10, 15, 20, 25, 30, 35, 40],
    )
    self.assertEqual(
        [step for name, step, _ in seen if name == 'validation'], [20, 40]
    )
    for name, step, values in seen:
      row = rows.get((step, 'validation')) or rows.get((step, 'train'))
      if row:
        floats = {k for k, v in row.items() if isinstance(v, float)}
        self.assertEqual(values.keys(), floats - {'wall_time'}, name)
        for key, value in values.items():
          self.assertEqual(value, row[key])
      else:  # What a row would have there.
        self.assertEqual(values.keys(), {'loss', 'accuracy'})

  def test_a_wrong_signature_is_told_before_the_first_step(self):
    class NoValues:

      def __call__(self, step):
        pass

    class NextOfNothing:

      def __call__(self, step, values):
        pass

      def next(self):
        return 1

    class NeedsMore:

      def __call__(self, step, values, more):
        pass

    for hook, called in (
        (NeedsMore, '(self, step, values, more): missing a required'),
        (lambda step: None, '(step, values), and takes (step): too many'),
        (lambda: None, '(step, values), and takes (): too many'),
        (NoValues, 'NoValues(step, values), and takes (self, step): too many'),
        (NoValues(), '(step, values), and takes (step): too many'),
        (functools.partial(NoValues), 'NoValues(step, values), and takes '),
        (NextOfNothing, 'NextOfNothing.next(step), and takes (self): too'),
        (NextOfNothing(), '.next(step), and takes (): too many'),
    ):
      with self.subTest(hook=hook):
        ended = self.train(code=2, hooks=(hook,))
        self.assertIn(called, ended.err)
        self.assertFalse(self.workdir.exists())

  def test_one_that_fails(self):
    def hook(step, values):
      return values['precision_of_nothing']

    ended = self.train(code=1, hooks=(hook,))
    self.assertRegex(
        ended.err,
        r"^.*: hook hook failed at step 20: KeyError: 'precision_of_nothing' "
        r'\(.*hooks_test.py, line \d+\); nothing is saved yet\. .*\n$',
    )
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertFalse((self.workdir / 'result.json').exists())


if __name__ == '__main__':
  absltest.main()
