"""Tests of launch.calls: how many steps a call of the loop takes."""

from __future__ import annotations

import signal

import numpy as np
from absl.testing import absltest

from launch import calls as calls_lib
from tests import virtual_devices


class CallsTest(absltest.TestCase):

  def _calls(self, largest=None):
    return calls_lib.Calls(virtual_devices.mirrored(1), largest)

  def test_grow_to_half_a_second(self):
    calls = self._calls()
    self.assertEqual((calls.size, calls.is_warm), (1, False))
    sizes = []
    for _ in range(10):
      self.assertFalse(calls.agree(calls.size * 0.01, calls.size, 0))
      self.assertTrue(calls.is_warm)
      sizes.append(calls.size)
    # At most twice as many as in the call before; 50 take half a second.
    np.testing.assert_allclose(
        sizes, [2, 4, 8, 16, 32, 50, 50, 50, 50, 50], atol=1
    )
    calls.agree(10.0, 50, 0)  # The machine has other things to do.
    self.assertEqual(calls.size, 2)
    calls.agree(10.0, 2, 0)
    self.assertEqual(calls.size, 1)

  def test_no_more_than_asked_for(self):
    calls = self._calls(largest=7)
    for _ in range(9):
      calls.agree(1e-9, calls.size, 0)
    self.assertEqual(calls.size, 7)

  def test_times_all_but_the_first(self):
    calls = self._calls()
    for seconds, size in ((2.0, 1), (0.5, 3), (0.25, 6)):
      calls.agree(seconds, size, 0)
      self.assertEqual(calls.last_seconds, seconds)
    self.assertEqual((calls.timed_seconds, calls.timed_steps), (0.75, 9))

  def test_the_speed_is_that_of_the_last_seconds(self):
    calls = self._calls()
    calls.agree(9.0, 1, 0)
    self.assertEqual(calls.speed(), 0.0)
    calls.agree(1.0, 10, 0)
    calls.agree(1.0, 20, 0)
    self.assertEqual(calls.speed(), 15.0)
    for _ in range(25):  # Ten times as fast from now on.
      calls.agree(1.0, 100, 0)
    self.assertEqual(calls.speed(), 100.0)
    calls.agree(1000.0, 500, 0)  # One that is longer than the window.
    self.assertEqual(calls.speed(), 0.5)

  def test_a_signal_stops(self):
    self.assertTrue(self._calls().agree(0.1, 1, signal.SIGTERM))


if __name__ == '__main__':
  absltest.main()
