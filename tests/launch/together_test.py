"""Tests of launch.together; what several processes do is in workers_test."""

from __future__ import annotations

import json
from unittest import mock

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import workers
from launch import devices, interruption, programs, together
from launch.cluster import members, peers
from pipelines import errors

_TWO = members.Members(('a:1', 'b:1'), 0)


def _several(other):
  """Makes this process worker 0 of two, the other of which tells a text."""
  return mock.patch.multiple(
      together,
      members_of=lambda _: _TWO,
      workers=mock.Mock(texts=lambda _, text: [text, json.dumps(other)]),
  )


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
