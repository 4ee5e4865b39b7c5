"""Tests of launch.interruption."""

from __future__ import annotations

import os
import signal

from absl.testing import absltest, parameterized

from launch import interruption


class InterruptionTest(parameterized.TestCase):

  @parameterized.parameters(*interruption.SIGNALS)
  def test_a_signal_is_remembered(self, number):
    before = signal.getsignal(number)
    with interruption.Interruption() as interrupted:
      self.assertEqual(interrupted.signal, 0)
      os.kill(os.getpid(), number)
      self.assertEqual(interrupted.signal, number)
    self.assertEqual(signal.getsignal(number), before)

  def test_a_second_signal_has_its_usual_effect(self):
    # A shell's background jobs start with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    self.addCleanup(signal.signal, signal.SIGINT, before)
    with interruption.Interruption() as interrupted:
      os.kill(os.getpid(), signal.SIGINT)
      with self.assertRaises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
      self.assertEqual(interrupted.signal, signal.SIGINT)

  def test_effects_come_back_after_an_error(self):
    before = [signal.getsignal(number) for number in interruption.SIGNALS]
    with self.assertRaises(ZeroDivisionError), interruption.Interruption():
      _ = 1 / 0
    self.assertEqual(
        [signal.getsignal(number) for number in interruption.SIGNALS], before
    )


if __name__ == '__main__':
  absltest.main()
