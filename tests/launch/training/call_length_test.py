"""Tests of training.call_length: how many steps a call of the loop takes."""

from __future__ import annotations

import signal

import numpy as np
from absl.testing import absltest

from launch.training import call_length as call_length_lib
from tests import virtual_devices


class CallsTest(absltest.TestCase):

  def _call_length(self, largest=None):
    return call_length_lib.CallLength(virtual_devices.mirrored(1), largest)

  def test_grow_to_half_a_second(self):
    call_length = self._call_length()
    self.assertEqual((call_length.size, call_length.is_warm), (1, False))
    sizes = []
    for _ in range(10):
      self.assertFalse(
          call_length.agree(call_length.size * 0.01, call_length.size, 0)
      )
      self.assertTrue(call_length.is_warm)
      sizes.append(call_length.size)
    # At most twice as many as in the call before; 50 take half a second.
    np.testing.assert_allclose(
        sizes, [2, 4, 8, 16, 32, 50, 50, 50, 50, 50], atol=1
    )
    call_length.agree(10.0, 50, 0)  # The machine has other things to do.
    self.assertEqual(call_length.size, 2)
    call_length.agree(10.0, 2, 0)
    self.assertEqual(call_length.size, 1)

  def test_no_more_than_asked_for(self):
    call_length = self._call_length(largest=7)
    for _ in range(9):
      call_length.agree(1e-9, call_length.size, 0)
    self.assertEqual(call_length.size, 7)

  def test_times_all_but_the_first(self):
    call_length = self._call_length()
    for seconds, size in ((2.0, 1), (0.5, 3), (0.25, 6)):
      call_length.agree(seconds, size, 0)
      self.assertEqual(call_length.last_seconds, seconds)
    self.assertEqual(
        (call_length.timed_seconds, call_length.timed_steps), (0.75, 9)
    )

  def test_the_speed_is_that_of_the_last_seconds(self):
    call_length = self._call_length()
    call_length.agree(9.0, 1, 0)
    self.assertEqual(call_length.speed(), 0.0)
    call_length.agree(1.0, 10, 0)
    call_length.agree(1.0, 20, 0)
    self.assertEqual(call_length.speed(), 15.0)
    for _ in range(25):  # Ten times as fast from now on.
      call_length.agree(1.0, 100, 0)
    self.assertEqual(call_length.speed(), 100.0)
    call_length.agree(1000.0, 500, 0)  # One that is longer than the window.
    self.assertEqual(call_length.speed(), 0.5)

  def test_a_signal_stops(self):
    self.assertTrue(self._call_length().agree(0.1, 1, signal.SIGTERM))


if __name__ == '__main__':
  absltest.main()
