"""Hooks in whole runs: what ends them, what they keep, and over a resume.

Covers: compilations, rows, saving, validation.
"""

from __future__ import annotations

import json
import pathlib
import signal

import numpy as np
from absl.testing import absltest, parameterized

from tests.launch import runs

# Nothing gets better from the first validation on.
_STUCK = dict(learning_rate=1e-12, optimizer='sgd', num_epochs=5)


class _TestCase(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.workdir = self.root / 'run'

  def train(self, name='run', code=0, **changes):
    ended = runs.train(self.root / name, **changes)
    self.assertEqual(ended.code, code, ended.err)
    return ended

  def stop_at(self, step, name='run', **changes):
    """Trains until a signal comes."""
    with runs.signal_at(step, signal.SIGTERM):
      self.train(name, code=128 + signal.SIGTERM, **changes)

  def assert_same(self, name, other):
    one, other = self.root / name, self.root / other
    self.assertEqual(runs.digest(one), runs.digest(other))
    self.assertEqual(runs.rows(one), runs.rows(other))
    self.assertEqual(
        runs.result(one).get('stopped'), runs.result(other).get('stopped')
    )


class EarlyStoppingTest(_TestCase):

  def test_a_run_that_was_killed_stops_at_the_same_step(self):
    changes = dict(early_stopping_patience=2, **_STUCK)
    ended = self.train('whole', **changes)
    stopped = runs.result(self.root / 'whole')['stopped']
    self.assertEqual(stopped.keys(), {'step', 'hook', 'reason'})
    self.assertEqual((stopped['step'], stopped['hook']), (60, 'EarlyStopping'))
    self.assertIn('2 validation(s) without a better acc', stopped['reason'])
    self.assertIn(
        f'EarlyStopping ended the run at step 60: {stopped["reason"]}.',
        ended.out,
    )
    self.assertIn('test_accuracy', runs.result(self.root / 'whole'))
    self.stop_at(45, **changes)
    self.train(**changes)
    self.assert_same('run', 'whole')
    # It was saved, but killed before its result: no step is taken again.
    (self.workdir / 'result.json').unlink()
    self.train(**changes)
    self.assert_same('run', 'whole')
    self.assertEqual(runs.result(self.workdir)['num_train_step_traces'], 0)

  def test_another_patience_goes_on(self):
    changes = dict(early_stopping_patience=1, **_STUCK)
    self.train(**changes)
    self.assertEqual(runs.result(self.workdir)['num_steps'], 40)
    # More epochs change nothing: it would have been ended there.
    ended = self.train(**{**changes, 'num_epochs': 9})
    self.assertRegex(
        ended.out, 'is complete: .* EarlyStopping ended it at step 40: 1 val'
    )
    changes['early_stopping_patience'] = 3
    self.stop_at(50, **changes)
    # What ended it before does not end it now, though its result is there.
    self.train(**changes)
    self.assertEqual(runs.result(self.workdir)['num_steps'], 80)
    self.assertIn('is complete', self.train(**changes).out)
    changes['early_stopping_patience'] = None
    self.train(**changes)
    self.assertEqual(runs.result(self.workdir)['num_steps'], 100)
    self.assertNotIn('stopped', runs.result(self.workdir))
    config = json.loads((self.workdir / 'config.json').read_text())
    self.assertIsNone(config['stopped'])
    self.train('whole', **{**changes, 'num_epochs': 5})
    self.assert_same('run', 'whole')

  def test_what_cannot_be_judged(self):
    ended = self.train(code=2, monitor='acuracy')
    self.assertRegex(
        ended.err, r'--monitor=acuracy: .* there are: .*accuracy.*loss.*\.\n$'
    )
    ended = self.train(code=2, early_stopping_patience=1, validation_examples=0)
    self.assertRegex(ended.err, '--early_stopping_patience: nothing is valid')
    self.assertFalse(self.workdir.exists())


class KeepBestTest(_TestCase):

  def test_the_best_over_a_resume(self):
    # The accuracy goes up and down; it ties, too.
    changes = dict(
        num_epochs=6, optimizer='sgd', learning_rate=2.0, average_decay=0.5
    )
    self.train('whole', **changes)
    self.stop_at(70, **changes)
    self.train(**changes)
    self.assert_same('run', 'whole')
    accuracies = [row['accuracy'] for row in runs.rows(self.workdir)
                  if row['split'] == 'validation']
    step = runs.STEPS_PER_EPOCH * (1 + int(np.argmax(accuracies)))
    result = runs.result(self.workdir)
    self.assertEqual(result['best_validation']['step'], step)
    place = (f'--workdir={self.workdir}', f'--data_dir={runs.data_dir()}',
             '--split=validation')
    for checkpoint in ('best', self.workdir / 'checkpoints' / 'best'):
      ended = runs.call('evaluate', *place, f'--checkpoint={checkpoint}')
      self.assertEqual((ended.code, ended.err), (0, ''))
      scored = json.loads(
          (self.workdir / 'evaluation_validation.json').read_text()
      )
      self.assertEqual(scored['step'], step)
      for name, value in scored['values'].items():
        self.assertAlmostEqual(value, result['best_validation'][name], 5)
    runs.call('evaluate', *place, '--checkpoint=last')
    scored = json.loads(
        (self.workdir / 'evaluation_validation.json').read_text()
    )
    self.assertEqual(scored['step'], result['num_steps'])

  def test_none_is_kept(self):
    self.train(num_steps=3, keep_best=False)
    self.assertFalse((self.workdir / 'checkpoints' / 'best').exists())
    for program in ('evaluate', 'export'):
      ended = runs.call(
          program, f'--workdir={self.workdir}', '--checkpoint=best',
          f'--data_dir={runs.data_dir()}',
      )
      self.assertEqual(ended.code, 2)
      self.assertRegex(ended.err, '--checkpoint=best: .* --keep_best')
    # It may be kept from now on.
    self.train(num_steps=4)
    self.assertTrue((self.workdir / 'checkpoints' / 'best').exists())


class PlateauTest(_TestCase):

  @parameterized.parameters(1, 2)
  def test_a_resumed_run_has_the_same_bits(self, num_replicas):
    changes = dict(
        plateau_patience=1, plateau_factor=0.25, learning_rate=0.01,
        monitor='macro_f1', num_epochs=4, num_replicas=num_replicas,
    )
    ended = self.train('whole', **changes)
    rates = [row['learning_rate'] for row in runs.rows(self.root / 'whole')
             if row['split'] == 'train']
    self.assertAlmostEqual(rates[0], 0.01)
    self.assertLess(rates[-1], 0.003)
    self.assertIn('without a better macro_f1: from step ', ended.out)
    for step in (25, 65):
      self.stop_at(step, **changes)
    self.train(**changes)
    self.assert_same('run', 'whole')
    plain = dict(changes, plateau_patience=None)
    self.train('plain', **plain)
    self.assertNotEqual(
        runs.digest(self.root / 'plain'), runs.digest(self.workdir)
    )


class MaxMinutesTest(_TestCase):

  def test_none_end_a_run_at_once_and_more_go_on(self):
    ended = self.train(max_minutes=0.0)
    stopped = runs.result(self.workdir)['stopped']
    self.assertEqual((stopped['step'], stopped['hook']), (1, 'MaxMinutes'))
    self.assertIn('test_accuracy', runs.result(self.workdir))
    self.assertIn('MaxMinutes ended the run at step 1', ended.out)
    self.assertIn('is complete', self.train(max_minutes=0.0).out)
    self.train(max_minutes=60.0)
    self.assertEqual(runs.digest(self.workdir), runs.digest(runs.finished()))
    self.assertEqual(runs.rows(self.workdir), runs.rows(runs.finished()))
    self.assertNotIn('stopped', runs.result(self.workdir))


class OwnHooksTest(_TestCase):

  def test_values_are_those_of_the_rows(self):
    seen = []

    def hook(step, values):
      seen.append(('validation', step, values))

    class Often:

      def next(self, step):
        return step - step % 5 + 5

      def __call__(self, step, values):
        seen.append(('often', step, values))

    self.train(hooks=(hook, Often), num_replicas=2)
    self.assertEqual(runs.digest(self.workdir),
                     runs.digest(runs.finished(2)))
    rows = {
        (row['step'], row['split']): row for row in runs.raw_rows(self.workdir)
    }
    self.assertEqual([step for name, step, _ in seen if name == 'often'],
                     [5, 10, 15, 20, 25, 30, 35, 40])
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

  def test_one_that_remembers_and_ends_the_run(self):

    class Counts:

      def init(self):
        return {'count': 0, 'losses': np.zeros(3)}

      def next(self, step):
        return step - step % 5 + 5

      def __call__(self, step, values):
        count = int(self.state['count'].assign_add(1))
        self.state['losses'].scatter_nd_update(
            [[count % 3]], [values['loss']]
        )
        if count == 5:
          total = sum(self.state['losses'].numpy())
          return f'{total:.6f} in 3'

    changes = dict(hooks=(Counts,), checkpoint_every_steps=None)
    self.train('whole', **changes)
    self.assertEqual(runs.result(self.root / 'whole')['num_steps'], 25)
    self.stop_at(12, **changes)
    self.train(**changes)
    self.assert_same('run', 'whole')
    # A run may go on without what it remembers.
    self.train(checkpoint_every_steps=None)
    self.assertEqual(runs.digest(self.workdir), runs.digest(runs.finished()))

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
