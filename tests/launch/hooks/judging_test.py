"""What ends a run or slows its steps, by sequences of values.

Covers: best, flagged, monitor, plateau, stopping.
"""

from __future__ import annotations

import math
import os
import time
from unittest import mock

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import checkpoints, layers, optimizers, training
from launch import loop, programs
from launch.hooks import attached, best, monitor, plateau, stopping
from launch.training import call_length, periods
from tests import virtual_devices
from tests.launch import runs

_ACCURACY = monitor.Monitor('accuracy', 'max')
_LOSS = monitor.Monitor('loss', 'min')


def _state():
  model = layers.Dense(1)
  model.build([None, 2])
  return training.TrainState(
      model, optimizers.sgd(0.1, momentum=0.9), average_decay=0.5
  )


class MonitorTest(parameterized.TestCase):

  @parameterized.parameters(
      ('max', 0.2, 0.1, True),
      ('max', 0.1, 0.2, False),
      ('min', 0.1, 0.2, True),
      ('min', 0.2, 0.1, False),
  )
  def test_which_is_better(self, direction, value, other, expected):
    each = monitor.Monitor('any', direction)
    self.assertEqual(each.is_better(value, other), expected)
    self.assertFalse(each.is_better(value, value))
    self.assertTrue(each.is_better(value, each.worst()))
    for broken in (math.nan, math.inf, -math.inf):
      self.assertFalse(each.is_better(broken, value))
    self.assertTrue(math.isfinite(each.worst()))

  def test_the_best_row(self):
    rows = [
        {'split': split, 'step': step, 'loss': loss}
        for step, (split, loss) in enumerate([
            ('train', 0.1),
            ('validation', math.nan),
            ('validation', 3.0),
            ('validation', 2.0),
            ('validation', 2.0),
        ])
    ]
    judge = monitor.Monitor('loss', 'min')
    self.assertEqual(judge.best(rows[:1]), None)
    self.assertEqual(judge.best(rows)['step'], 3)
    self.assertEqual(monitor.Monitor('rmse', 'min').best(rows), None)

  def test_by_name_and_by_result(self):
    for name in ('rmse', 'baseline_mae', 'mse', 'test_cross_entropy'):
      self.assertEqual(monitor.by_name(name).direction, 'min', name)
    for name in ('accuracy', 'r2', 'maestro_score'):
      self.assertEqual(monitor.by_name(name).direction, 'max', name)
    self.assertEqual(monitor.of_result({}), _ACCURACY)  # Of version 0.1.0.
    self.assertEqual(
        monitor.of_result({'monitor': 'r2', 'direction': 'min'}),
        monitor.Monitor('r2', 'min'),
    )

  @parameterized.parameters(
      (None, _ACCURACY),
      ('accuracy', _ACCURACY),
      ('loss', _LOSS),
      ('cross_entropy', monitor.Monitor('cross_entropy', 'min')),
      ('mean_squared_error', monitor.Monitor('mean_squared_error', 'min')),
      ('macro_f1', monitor.Monitor('macro_f1', 'max')),
  )
  def test_the_task_says_or_the_name(self, name, expected):
    known = [
        'accuracy',
        'loss',
        'cross_entropy',
        'mean_squared_error',
        'macro_f1',
    ]
    self.assertEqual(monitor.choose(name, _ACCURACY, known), expected)
    # A task may be the better the smaller its accuracy.
    odd = monitor.Monitor('accuracy', 'min')
    self.assertEqual(
        monitor.choose(name, odd, known).direction,
        'min' if expected is _ACCURACY else expected.direction,
    )

  @parameterized.parameters(
      ('mae', 'min'),
      ('test_rmse', 'min'),
      ('interval_width', 'min'),
      ('r2', 'max'),
      ('mean_iou', 'max'),
      ('maestro', 'max'),
  )
  def test_the_direction_of_a_name(self, name, expected):
    self.assertEqual(monitor.by_name(name).direction, expected)

  def test_one_that_there_is_not(self):
    with self.assertRaisesRegex(
        programs.UserError,
        '^--monitor=acuracy: no metric .* there are: accuracy, loss.$',
    ):
      monitor.choose('acuracy', _ACCURACY, ['accuracy', 'loss'])
    # Of a task, too.
    with self.assertRaisesRegex(programs.UserError, '=accuracy: the task'):
      monitor.choose(None, _ACCURACY, ['loss'])


class _HookTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.strategy = virtual_devices.mirrored(1)
    self.state = _state()
    self.said = []

  def attach(self, hook):
    now = loop.Now(
        sums={},
        at=periods.Periods(steps_per_epoch=1, num_steps=99),
        call_length=call_length.CallLength(self.strategy),
        measure=dict,
        say=self.said.append,
    )
    one = attached.Attached(hook, now, now.at.next_epochs)
    one.join(self.state)
    return one

  def call(self, hook, metric, values, start=0):
    """Calls a hook with values, until it wants the end; returns all answers."""
    answers = []
    for step, value in enumerate(values, start + 1):
      answers.append(hook(step, {metric: value}))
      if answers[-1]:
        break
    return answers

  def remembered(self):
    """Copies what the state remembers of hooks."""
    named = self.state.named_variables()
    return {n: v.numpy() for n, v in named.items() if n.startswith('hooks/')}

  def restore(self, remembered):
    named = self.state.named_variables()
    for name, value in remembered.items():
      named[name].assign(value)


class EarlyStoppingTest(_HookTest):

  @parameterized.parameters(
      (_ACCURACY, 2, [0.1, 0.3, 0.2, 0.3], 4),  # An equal one is no better.
      (_ACCURACY, 2, [0.1, 0.3, 0.2, 0.4, 0.1, 0.2], 6),
      (_LOSS, 1, [3.0, 2.0, 1.0, 1.5], 4),
      (_LOSS, 3, [3.0, 4.0, 2.0, 2.5, 2.2, 1.0], None),
      (_ACCURACY, 2, [math.nan, math.nan], 2),
  )
  def test_stops(self, monitored, patience, values, stop):
    # As if the run had been resumed after each validation, and in one go.
    for is_resumed in (False, True):
      self.state = _state()
      hook = self.attach(stopping.EarlyStopping(patience, monitored))
      answers = []
      for step, value in enumerate(values, 1):
        if is_resumed:
          remembered, self.state = self.remembered(), _state()
          hook = self.attach(stopping.EarlyStopping(patience, monitored))
          self.restore(remembered)
        answers.append(hook(step, {monitored.metric: value}))
        if answers[-1]:
          break
      self.assertEqual(len(answers), stop or len(values))
      self.assertEqual(
          [bool(each) for each in answers[:-1]], [False] * (len(answers) - 1)
      )
      self.assertEqual(bool(answers[-1]), stop is not None)

  def test_the_reason(self):
    hook = self.attach(stopping.EarlyStopping(2, _ACCURACY))
    *_, reason = self.call(hook, 'accuracy', [0.1, 0.93751, 0.2, 0.3])
    self.assertEqual(
        reason,
        '2 validation(s) without a better accuracy than 0.9375 at step 2',
    )


class MaxMinutesTest(_HookTest):

  def test_ends_once_time_is_over(self):
    clock = [100.0]
    with mock.patch.object(time, 'monotonic', lambda: clock[0]):
      hook = self.attach(stopping.MaxMinutes(2.0, self.strategy, clock[0]))
      self.assertEqual(hook.next(7), 7)
      clock[0] += 119
      self.assertIsNone(hook(7, {}))
      clock[0] += 1
      self.assertEqual(hook(8, {}), '2.00 minutes are over, of 2')
      # All starts of a run share them.
      remembered, self.state = self.remembered(), _state()
      hook = self.attach(stopping.MaxMinutes(2.5, self.strategy, clock[0]))
      self.restore(remembered)
      clock[0] += 29
      self.assertIsNone(hook(9, {}))
      clock[0] += 1
      self.assertEqual(hook(10, {}), '2.50 minutes are over, of 2.5')

  def test_none_are_over_at_once(self):
    hook = self.attach(
        stopping.MaxMinutes(0.0, self.strategy, time.monotonic())
    )
    self.assertIn('minutes are over, of 0', hook(1, {}))


class PlateauTest(_HookTest):

  def test_lowers_the_rate(self):
    factor = tf.Variable(1.0)
    hook = self.attach(plateau.Plateau(2, 0.5, _LOSS, factor, self.said.append))
    values = [3.0, 4.0, 4.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 2.0]
    seen = []
    for step, value in enumerate(values, 1):
      self.assertIsNone(hook(step, {'loss': value}))
      seen.append(float(factor))
    self.assertEqual(
        seen, [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.125]
    )
    self.assertLen(self.said, 3)
    self.assertEqual(
        self.said[0],
        '2 validation(s) without a better loss: from step 3 on the learning '
        'rate is 0.5 of its schedule.\n',
    )
    self.assertEqual(self.remembered()['hooks/Plateau/rate_factor'], 0.125)


class KeepBestTest(_HookTest):

  def setUp(self):
    super().setUp()
    self.folder = os.path.join(runs.scratch(self), 'best')

  def validate(self, hook, step, accuracy):
    """Takes a step that makes all weights its number, and validates."""
    for name, variable in self.state.named_variables().items():
      if name.startswith(('model/', 'average/model/')):
        variable.assign(tf.fill(variable.shape, float(step)))
    self.state.step.assign(step)
    hook(step, {'accuracy': accuracy})

  def saved(self):
    """Reads the step that is kept."""
    path, _ = checkpoints.newest_whole(self.folder)
    weights = ('model/linear/w', 'model/linear/b')
    averages = [f'average/{name}' for name in weights]
    self.assertCountEqual(
        checkpoints.contents(path),
        [*weights, *averages, 'average/count', 'step'],
    )
    step = tf.Variable(0, dtype=tf.int64)
    average = tf.Variable([[0.0], [0.0]])
    checkpoints.restore(path, {'step': step}, prefix='step')
    checkpoints.restore(path, {averages[0]: average}, prefix=averages[0])
    self.assertEqual(average.numpy().tolist(), [[float(step)]] * 2)
    self.assertTrue(path.endswith(f'ckpt-{int(step)}'))
    return int(step)

  def test_keeps_the_best_with_the_next_checkpoint(self):
    hook = self.attach(
        best.KeepBest(self.folder, _ACCURACY, self.state, self.strategy)
    )
    hook.before_save()  # Before any validation.
    self.assertFalse(os.path.exists(self.folder))
    for step, accuracy in ((1, 0.5), (2, 0.7), (3, 0.7)):
      self.validate(hook, step, accuracy)
    self.assertFalse(os.path.exists(self.folder))
    hook.before_save()
    self.assertEqual(self.saved(), 2)
    self.validate(hook, 4, 0.6)
    hook.before_save()
    self.assertEqual(self.saved(), 2)
    # Resumed, from the last checkpoint: a better one takes its place.
    remembered, self.state = self.remembered(), _state()
    hook = self.attach(
        best.KeepBest(self.folder, _ACCURACY, self.state, self.strategy)
    )
    self.restore(remembered)
    self.validate(hook, 5, 0.65)
    hook.before_save()
    self.assertEqual(self.saved(), 2)
    self.validate(hook, 6, 0.8)
    hook.before_save()
    self.assertEqual(self.saved(), 6)
    files = os.listdir(self.folder)
    self.assertLen([name for name in files if name.endswith('.index')], 1)

  def test_a_kill_leaves_the_one_before_or_the_new_one(self):
    """Killed at each change of a file on the way."""
    for number in range(20):
      self.state = _state()
      self.folder = os.path.join(runs.scratch(self), 'best')
      hook = self.attach(
          best.KeepBest(self.folder, _ACCURACY, self.state, self.strategy)
      )
      self.validate(hook, 1, 0.5)
      hook.before_save()
      self.validate(hook, 2, 0.6)
      done = []

      def killed(original, *args, done=done, number=number, **kwargs):
        done.append(original)
        if len(done) > number:
          raise KeyboardInterrupt
        return original(*args, **kwargs)

      with (
          mock.patch.object(
              os, 'replace', lambda *a, f=os.replace: killed(f, *a)
          ),
          mock.patch.object(
              os, 'remove', lambda *a, f=os.remove: killed(f, *a)
          ),
      ):
        try:
          hook.before_save()
        except KeyboardInterrupt:
          self.assertIn(self.saved(), (1, 2))
        else:
          break
    self.assertEqual(self.saved(), 2)
    self.assertGreater(number, 3)  # Data, index, the list, the one before.


if __name__ == '__main__':
  absltest.main()
