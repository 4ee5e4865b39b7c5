"""Tests of machine.together; what several processes do is in workers_test."""

from __future__ import annotations

import json
import pathlib
import signal
import time
from unittest import mock

import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import workers
from launch import interruption, programs
from launch.cluster import members, peers
from launch.machine import devices, together
from pipelines import errors
from tests.launch import runs
from tests.launch import workers as worker_processes

_TWO = members.Members(('a:1', 'b:1'), 0)


def _several(other):
  """Makes this process worker 0 of two, the other of which tells a text."""
  return mock.patch.multiple(
      together,
      members_of=lambda _: _TWO,
      workers=mock.Mock(texts=lambda _, text: [text, json.dumps(other)]),
  )


_IS_LOST = """
import os
from launch import programs
programs.import_tensorflow()
from core import distribution
from launch import train
distribution.multi_worker = lambda _: os._exit(137)
train.program()
"""
_SIGNALLED = """
import os, signal, time
from launch import programs
programs.import_tensorflow()
from core import distribution
from launch import interruption
signal.signal(signal.SIGTERM, lambda number, _: print('heard', number))
with interruption.withheld():
  distribution.multi_worker(30.0)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.5)
"""
_SAYS_SO = """
from launch import programs
programs.import_tensorflow()
from core import distribution
from launch import train
begin = distribution.multi_worker
def says_so(timeout_s):
  print('TensorFlow waits', flush=True)
  return begin(timeout_s)
distribution.multi_worker = says_so
train.program()
"""


class AgreeingTest(parameterized.TestCase):

  def test_alone(self):
    strategy = devices.strategy('one_device')
    self.assertIsNone(together.members_of(strategy))
    with together.agreeing(strategy) as told:
      told['a'] = 1
    with self.assertRaises(KeyError), together.agreeing(strategy):
      raise KeyError

  def test_equal(self):
    with _several({'told': {'a': [1]}}), together.agreeing(None) as told:
      told['a'] = [1]

  def test_unequal(self):
    with (
        self.assertRaisesRegex(programs.UserError, 'differ in a: 1 at worker'),
        _several({'told': {'a': 2}}),
        together.agreeing(None) as told,
    ):
      told['a'] = 1

  @parameterized.parameters(
      (programs.UserError('no such data'), programs.UserError, 2),
      (errors.DataError('no such data'), programs.UserError, 2),
      (programs.Failure('no such data'), programs.Failure, 1),
      (OSError('no such data'), programs.Failure, 1),
      (RuntimeError('no such data'), programs.Failure, 1),
  )
  def test_what_fails_on_one_fails_on_all(self, error, kind, code):
    sent = []

    def texts(strategy, text):
      sent.append(text)
      return [text, '{}']

    with (
        mock.patch.object(together, 'members_of', lambda _: _TWO),
        mock.patch.object(workers, 'texts', texts),
        self.assertRaises(type(error)) as caught,
        together.agreeing(None),
    ):
      raise error
    self.assertIs(caught.exception, error)  # Its own is as it was.
    [text] = sent
    with (
        _several(json.loads(text)),
        self.assertRaises(kind) as caught,
        together.agreeing(None),
    ):
      pass
    self.assertEqual(str(caught.exception), 'worker 1 (b:1): no such data')
    self.assertEqual(caught.exception.exit_code, code)

  def test_a_signal_to_one_ends_all(self):
    error = together._told_of(interruption.Interrupted(15))
    with (
        _several({'error': error}),
        self.assertRaises(interruption.Interrupted) as caught,
        together.agreeing(None),
    ):
      pass
    self.assertEqual(caught.exception.number, 15)


class StartTest(absltest.TestCase):
  """Of two workers, one is lost after the meeting, before it joins."""

  def _lost_at_the_start(self, after_s, number=0):
    self.workdir = pathlib.Path(runs.scratch(self), 'run')
    flags = runs.arguments(
        runs.config(workdir=str(self.workdir), start_timeout=8.0)
    )
    chief, other = worker_processes.environments(2)
    process = runs.start_python('-c', _SAYS_SO, *flags, environment=chief)
    with runs.ending(process):
      lost = runs.finish(
          runs.start_python('-c', _IS_LOST, *flags, environment=other)
      )
      self.assertEqual(lost.code, 137, lost)
      self.assertEqual(process.stdout.readline(), 'TensorFlow waits\n')
      time.sleep(after_s)
      if number:
        process.send_signal(number)
      return runs.finish(process, timeout_s=60)

  @pytest.mark.medium
  def test_it_is_named(self):
    ended = self._lost_at_the_start(0.0)
    self.assertEqual(ended.code, 1)
    self.assertRegex(
        ended.err, r'worker 0 \(.*\) lost worker 1 \(.*\) at the start'
    )

  @pytest.mark.medium
  def test_a_signal_is_not_lost(self):
    """TensorFlow, which waits for the other, would take it for itself."""
    for number in (signal.SIGTERM, signal.SIGINT):
      ended = self._lost_at_the_start(2.0, number)
      self.assertEqual((ended.code, ended.out), (128 + number, ''), ended)
      self.assertIn(f'interrupted by {number.name}; give', ended.err)
      self.assertFalse((self.workdir / 'config.json').exists())

  def test_signals_are_heard_once_it_has_joined(self):
    [alone] = worker_processes.environments(1)
    ended = runs.finish(
        runs.start_python('-c', _SIGNALLED, environment=alone), timeout_s=60
    )
    self.assertEqual((ended.code, ended.out), (0, 'heard 15\n'), ended)


class LostWorkersTest(parameterized.TestCase):

  @parameterized.parameters(*together._LOST_WORKER)
  def test_who_is_gone_and_who_says_so(self, kind):
    error = kind(None, None, 'Connection reset')
    with (
        mock.patch.object(together, 'members_of', lambda _: _TWO),
        mock.patch.object(peers, 'gone', return_value=[1]),
        mock.patch.object(together, '_LINGER_SECS', 0.0),
        self.assertRaisesRegex(
            programs.Failure,
            rf'^worker 0 \(a:1\) lost worker 1 \(b:1\) \({kind.__name__}\)',
        ),
        together.lost_workers(None),
    ):
      raise error

  @parameterized.parameters(*together._LOST_WORKER, ValueError, OSError)
  def test_an_error_of_ones_own_is_called_nothing_else(self, kind):
    is_op = issubclass(kind, tf.errors.OpError)
    error = kind(None, None, 'full') if is_op else kind('full')
    for each in (None, _TWO):
      with (
          mock.patch.object(together, 'members_of', lambda _, e=each: e),
          mock.patch.object(peers, 'gone', return_value=[]),
          self.assertRaises(kind) as caught,
          together.lost_workers(None),
      ):
        raise error
      self.assertIs(caught.exception, error)


if __name__ == '__main__':
  absltest.main()
