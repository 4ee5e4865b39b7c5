"""Tests of launch.loop: when hooks are called, and what ends a run."""

from __future__ import annotations

import os
import signal

import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import loop
from launch.training import call_length, periods
from tests import virtual_devices


class _Hook(loop.Hook):
  """Is called at some steps, and asks for the end at one of them."""

  def __init__(self, name, *steps, last=None, seen):
    self.name = name
    self._steps = steps
    self._last = last
    self._seen = seen

  def next(self, step):
    return min((each for each in self._steps if each > step), default=10**9)

  def __call__(self, step, values):
    self._seen.append((self.name, step, values['step']))
    return f'{self.name} is enough' if step == self._last else None

  def end(self, step):
    self._seen.append((self.name, 'end', step))

  def close(self):
    self._seen.append((self.name, 'close'))


class _Each(_Hook):
  """Is called after each call of the graph."""

  def next(self, step):
    return loop.Hook.next(self, step)


class LoopTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.seen = []
    self.calls = []
    self.now = loop.Now(
        sums=tf.constant(0),
        at=periods.Periods(steps_per_epoch=10, num_steps=25),
        call_length=call_length.CallLength(
            virtual_devices.mirrored(1), largest=4
        ),
        measure=lambda sums: {'step': int(sums)},
        say=self.seen.append,
    )

  def run_loop(self, *hooks, after_call=lambda step: None):
    def data_loop(state, sums, start, num_steps):
      self.assertEqual(state, 'state')
      self.assertEqual(start, int(sums))
      self.calls.append((start, num_steps))
      after_call(start + num_steps)
      return sums + num_steps, tf.constant(num_steps)

    return loop.run('state', data_loop, hooks, self.now)

  def test_the_graph_is_cut_where_a_hook_wants_it(self):
    one = _Hook('one', 3, 12, 25, seen=self.seen)
    two = _Hook('two', 12, seen=self.seen)
    self.assertEqual(self.run_loop(one, two), 0)
    self.assertEqual(
        self.seen,
        [
            ('one', 3, 3),
            ('one', 12, 12),
            ('two', 12, 12),
            ('one', 25, 25),
            ('one', 'end', 25),
            ('two', 'end', 25),
            ('two', 'close'),
            ('one', 'close'),
        ],
    )
    ends = [start + size for start, size in self.calls]
    self.assertContainsSubset({3, 10, 12, 20, 25}, ends)  # Epochs as well.
    self.assertTrue(all(size <= 4 for _, size in self.calls))
    self.assertEqual([start for start, _ in self.calls], [0, *ends[:-1]])

  def test_one_that_wants_every_call_cuts_none(self):
    self.run_loop(_Hook('one', 3, seen=self.seen))
    expected = list(self.calls)
    self.calls.clear()
    self.seen.clear()
    self.now.step, self.now.sums = 0, tf.constant(0)
    self.now.call_length = call_length.CallLength(
        virtual_devices.mirrored(1), largest=4
    )
    self.run_loop(_Hook('one', 3, seen=[]), _Each('each', seen=self.seen))
    self.assertEqual(self.calls, expected)
    self.assertEqual(
        [step for name, step, *_ in self.seen if step not in ('end', 'close')],
        [start + size for start, size in expected],
    )

  def test_a_reason_ends_the_run(self):
    self.run_loop(
        _Hook('one', 5, last=5, seen=self.seen),
        _Hook('two', 5, 7, last=5, seen=self.seen),  # Is called all the same.
    )
    self.assertEqual(self.now.stopped, loop.Stopped(5, 'one', 'one is enough'))
    self.assertEqual(self.now.step, 5)
    self.assertEqual(
        self.seen,
        [
            ('one', 5, 5),
            ('two', 5, 5),
            ('one', 'end', 5),
            ('two', 'end', 5),
            ('two', 'close'),
            ('one', 'close'),
        ],
    )

  def test_a_run_that_was_ended_takes_no_step(self):
    self.now.stopped = loop.Stopped(0, 'one', 'enough')
    self.run_loop(_Hook('one', 5, seen=self.seen))
    self.assertEqual(self.calls, [])
    self.assertEqual(self.seen, [('one', 'end', 0), ('one', 'close')])

  def test_a_signal_ends_the_run_after_its_call(self):
    def interrupt(step):
      if step >= 6:
        os.kill(os.getpid(), signal.SIGTERM)

    number = self.run_loop(
        _Hook('one', 6, seen=self.seen), after_call=interrupt
    )
    self.assertEqual(number, signal.SIGTERM)
    self.assertEqual(self.now.step, 6)
    self.assertIsNone(self.now.stopped)
    self.assertEqual(
        self.seen, [('one', 6, 6), ('one', 'end', 6), ('one', 'close')]
    )

  @parameterized.parameters(_Hook, _Each)
  def test_a_signal_in_a_hook_ends_the_run_after_it(self, kind):

    class Interrupting(kind):

      def __call__(self, step, values):
        if step >= 6:
          os.kill(os.getpid(), signal.SIGTERM)
        return super().__call__(step, values)

    number = self.run_loop(
        Interrupting('one', 6, 12, seen=[]), _Hook('two', 6, seen=self.seen)
    )
    self.assertEqual(number, signal.SIGTERM)
    self.assertEqual(sum(self.calls[-1]), self.now.step)
    self.assertBetween(self.now.step, 6, 9)  # The call that reached step 6.
    self.assertIn(('two', 'end', self.now.step), self.seen)

  def test_hooks_are_closed_after_an_error(self):
    def fail(step):
      raise ZeroDivisionError(step)

    with self.assertRaises(ZeroDivisionError):
      self.run_loop(_Hook('one', 6, seen=self.seen), after_call=fail)
    self.assertEqual(self.seen, [('one', 'close')])

  def test_a_hook_may_change_what_the_next_one_gets(self):
    """As a row of metrics does."""
    now = self.now

    class Row(_Hook):

      def __call__(self, step, values):
        now.values = {'step': -values['step']}

    self.run_loop(
        Row('row', 4, seen=self.seen), _Hook('second', 4, 6, seen=self.seen)
    )
    self.assertContainsSubset([('second', 4, -4), ('second', 6, 6)], self.seen)

  def test_unsaved_seconds_add_up(self):
    self.run_loop()
    self.assertGreater(
        self.now.unsaved_secs, self.now.call_length.timed_seconds
    )


if __name__ == '__main__':
  absltest.main()
