"""Tests of launch.hooks.attached: what may be a hook, and what may not."""

from __future__ import annotations

import functools
import inspect
import math
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, optimizers, training, variables, workers
from launch import loop, programs
from launch.hooks import attached
from launch.training import call_length, periods
from tests import virtual_devices

_MAX = np.finfo(np.float64).max


def _state():
  model = layers.Dense(1)
  model.build([None, 2])
  return training.TrainState(model, optimizers.sgd(0.1))


class AttachedTest(parameterized.TestCase):

  def attach(self, hook):
    strategy = virtual_devices.mirrored(1)
    self.cleared = []
    self.now = loop.Now(
        sums={},
        at=periods.Periods(steps_per_epoch=4, num_steps=10),
        call_length=call_length.CallLength(strategy),
        measure=dict,
        say=lambda message: None,
    )
    return attached.OfUser(
        hook,
        self.now,
        self.now.at.next_epochs,
        clear=lambda: self.cleared.append(True),
    )

  def test_a_function_is_called_after_each_validation(self):
    seen = []

    def hook(step, values):
      seen.append((step, values))
      return 'enough' if step == 8 else None

    one = self.attach(hook)
    self.assertEqual(one.name, 'hook')
    self.assertEqual([one.next(step) for step in (0, 3, 4, 9)], [4, 4, 8, 10])
    self.assertIsNone(one(4, {'loss': 1.0}))
    self.assertEqual(one(8, {'loss': 0.5}), 'enough')
    self.assertEqual(seen, [(4, {'loss': 1.0}), (8, {'loss': 0.5})])

  def test_what_it_does_to_the_values_is_its_own_affair(self):
    def hook(step, values):
      values.clear()

    values = {'loss': 1.0}
    self.attach(hook)(4, values)
    self.assertEqual(values, {'loss': 1.0})

  def test_a_class_says_when(self):

    class Every3:

      def next(self, step):
        return np.int64(step - step % 3 + 3)

      def __call__(self, step, values):
        return f'at {step}'

    for hook in (Every3, Every3(), functools.partial(Every3)):
      one = self.attach(hook)
      self.assertEqual(one.name, 'Every3')
      self.assertEqual([one.next(step) for step in (0, 2, 3)], [3, 3, 6])
      self.assertEqual(one(3, {}), 'at 3')

  def test_a_line_is_wiped_before_it_prints(self):

    class Often:

      def next(self, step):
        return step

      def __call__(self, step, values):
        return None

    def hook(step, values):
      return None

    for each, expected in ((hook, [True]), (Often, [])):
      one = self.attach(each)
      one.next(3)
      one(4, {})
      self.assertEqual(self.cleared, expected)

  def test_all_workers_end_if_one_wants_to(self):
    def hook(step, values):
      return None

    one = self.attach(hook)
    with mock.patch.object(workers, 'gather', return_value=[[0], [1]]):
      self.assertEqual(one(4, {}), 'another worker asked for it')

  def test_names(self):
    def hook(limit, step, values):
      return None

    bound = functools.partial(hook, 3)
    self.assertEqual(self.attach(bound).name, 'hook')
    self.assertEqual(self.attach(self._method).name, '_method')

  def _method(self, step, values):
    return None

  def test_what_it_remembers_joins_the_state(self):
    own = tf.Variable(-math.inf, dtype=tf.float32)

    class Remembers:

      def init(self):
        return {
            'best': -math.inf,
            'count': 0,
            'own': own,
            'history': [np.zeros(3, np.float32), True],
        }

      def __call__(self, step, values):
        self.state['best'].assign(max(self.state['best'], values['loss']))
        self.state['count'].assign_add(1)

    state = _state()
    one = self.attach(Remembers())
    before = set(state.named_variables())
    one.join(state)
    named = state.named_variables()
    self.assertEqual(
        set(named) - before,
        {
            f'hooks/Remembers/{name}'
            for name in ('best', 'count', 'own', 'history/0', 'history/1')
        },
    )
    best, count = (named[f'hooks/Remembers/{n}'] for n in ('best', 'count'))
    self.assertEqual((best.dtype, count.dtype), (tf.float64, tf.int64))
    # A checkpoint holds finite numbers only.
    self.assertEqual(float(best), -_MAX)
    self.assertIs(named['hooks/Remembers/own'], own)
    self.assertEqual(float(own), -np.finfo(np.float32).max)
    self.assertEqual(variables.non_finite(named), [])
    for loss in (2.0, 1.0):
      one(4, {'loss': loss})
    self.assertEqual((float(best), int(count)), (2.0, 2))

  def test_none_may_be_remembered(self):

    class Forgets:

      def init(self):
        return {}

      def __call__(self, step, values):
        return None

    state = _state()
    before = set(state.named_variables())
    self.attach(Forgets()).join(state)
    self.assertEqual(set(state.named_variables()), before)

  def test_two_of_a_name_are_refused(self):

    def hook(step, values):
      return None

    one, other = self.attach(hook), self.attach(hook)
    with self.assertRaisesRegex(programs.UserError, 'two hooks .* hook; ren'):
      attached.check_names([one, other])
    attached.check_names([one])

  def test_what_cannot_be_called(self):
    with self.assertRaisesRegex(
        programs.UserError, 'hook int: expected a function of .* got 3'
    ):
      self.attach(3)

  def assert_fails(self, hook, pattern, line=None, is_refused=False):
    """Calls a hook; expects one line with its name, file and line."""
    with self.assertRaises(programs.Failure) as caught:
      one = self.attach(hook)
      one.join(_state())
      one.check_next(0)
      one.next(4)
      one(4, {'loss': 1.0})
      one.before_save()
    message = str(caught.exception)
    self.assertEqual(caught.exception.exit_code, 2 if is_refused else 1)
    self.assertRegex(message, pattern)
    saved = 'nothing is saved yet. Once that is fixed, the same command starts'
    self.assertEqual(saved in message, not is_refused)
    self.assertNotIn(str(loop.__file__), message)
    if line:
      self.assertIn(f'({__file__}, line {line})', message)

  def test_one_that_raises(self):
    def hook(step, values):
      return values['acuracy']  # It is misspelt.

    line = inspect.getsourcelines(hook)[1] + 1
    self.assert_fails(
        hook, "^hook hook failed at step 4: KeyError: 'acuracy' ", line
    )

  def test_one_that_raises_in_what_it_calls(self):
    def hook(step, values):
      return np.reshape(np.zeros(3), [2, 2])

    line = inspect.getsourcelines(hook)[1] + 1
    self.assert_fails(hook, 'hook hook failed .*: ValueError: .*reshape', line)

  @parameterized.parameters(True, 0.5, '')
  def test_one_that_returns_no_reason(self, value):
    def hook(step, values):
      return value

    line = inspect.getsourcelines(hook)[1]
    self.assert_fails(hook, f'returned {value!r}; expected None, or', line)

  def test_a_class_that_fails(self):

    class Fails:

      def __init__(self, where):
        self.where = where

      def init(self):
        return [1.0 if self.where != 'init' else math.nan]

      def next(self, step):
        return None if self.where == 'next' else 4

      def __call__(self, step, values):
        raise RuntimeError('here\nand there')

    line = inspect.getsourcelines(Fails.__call__)[1] + 1
    self.assert_fails(Fails('call'), 'step 4: RuntimeError: here [(]', line)
    for hook, pattern in (
        (
            Fails('next'),
            'Fails: next.0. returned None; expected the step',
        ),
        (Fails('init'), 'Fails: init.. has nan: expected finite numbers'),
        (Fails, 'Fails: .*__init__.*where'),
    ):
      self.assert_fails(hook, f'^--hooks: {pattern}', is_refused=True)

  @parameterized.parameters(
      (lambda step: step - 1, 'returned -1, which is past', True),
      (lambda step: 1, r'next.4. returned 1, which is past; .* or 4 it', False),
      (lambda step: 'soon', "returned 'soon'; expected the step", True),
      (lambda step: step + 0.5, 'returned 0.5; expected the step', True),
      (lambda step: step / 0, 'ZeroDivisionError: division by zero', True),
  )
  def test_a_class_that_does_not_say_when(self, when, pattern, is_refused):

    class When:

      def next(self, step):
        return when(step)

      def __call__(self, step, values):
        return None

    line = None
    if 'Zero' not in pattern:
      line = inspect.getsourcelines(When.__call__)[1]
    self.assert_fails(When, pattern, line, is_refused)

  @parameterized.parameters(
      ({'a': 'text'},),
      ([None],),
      ({'a': {1, 2}},),
      (tf.ragged.constant([[1], [2, 3]]),),
      (1j,),
      (b'text',),
      (object(),),
  )
  def test_what_cannot_be_saved_is_no_state(self, state):

    class Remembers:

      def init(self):
        return state

      def __call__(self, step, values):
        return None

    self.assert_fails(
        Remembers, 'Remembers: init.. has .*: expected numbers', is_refused=True
    )

  def test_one_that_fails_before_a_save(self):
    class Saves:

      def before_save(self):
        raise RuntimeError('full')

      def __call__(self, step, values):
        return None

    self.assert_fails(Saves, 'Saves failed before a save: RuntimeError: full')

  def test_what_a_hook_says_itself_is_said(self):
    def hook(step, values):
      raise programs.UserError('mend that')

    with self.assertRaisesRegex(programs.UserError, '^mend that$'):
      self.attach(hook)(4, {})


if __name__ == '__main__':
  absltest.main()
