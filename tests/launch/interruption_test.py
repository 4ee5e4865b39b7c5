"""Tests of launch.interruption."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

from absl.testing import absltest, parameterized

from launch import interruption
from tests.launch import runs


class InterruptionTest(parameterized.TestCase):

  @parameterized.parameters(*interruption.SIGNALS)
  def test_a_signal_is_remembered(self, number):
    # Under nohup the tests would start with SIGHUP ignored.
    before = signal.SIG_DFL
    usual = signal.signal(number, before)
    self.addCleanup(signal.signal, number, usual)
    with interruption.Interruption() as interrupted:
      self.assertEqual(interrupted.signal, 0)
      signal.raise_signal(number)
      self.assertEqual(interrupted.signal, number)
    self.assertEqual(signal.getsignal(number), before)

  @parameterized.parameters(*interruption.SIGNALS)
  def test_a_signal_ends_a_block(self, number):
    before = signal.signal(number, signal.SIG_DFL)
    self.addCleanup(signal.signal, number, before)
    with (
        self.assertRaisesRegex(
            interruption.Interrupted,
            f'interrupted by {signal.Signals(number).name}; give the same',
        ) as caught,
        interruption.leaving(),
    ):
      signal.raise_signal(number)
    self.assertEqual(caught.exception.number, number)
    self.assertEqual(signal.getsignal(number), signal.SIG_DFL)

  def test_a_signal_that_became_another_error_ends_a_block(self):
    """As in the import of a module of C."""

    def importing():
      try:
        signal.raise_signal(signal.SIGTERM)
      except interruption.Interrupted:
        raise ImportError('initialization failed') from None

    with (
        self.assertRaises(interruption.Interrupted) as caught,
        interruption.leaving(),
    ):
      importing()
    self.assertEqual(caught.exception.number, signal.SIGTERM)
    with self.assertRaises(ImportError), interruption.leaving():
      raise ImportError('of its own')

  def test_what_is_ignored_stays_ignored(self):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    self.addCleanup(signal.signal, signal.SIGHUP, before)
    with interruption.leaving(), interruption.Interruption() as interrupted:
      signal.raise_signal(signal.SIGHUP)
      self.assertEqual(interrupted.signal, 0)

  def test_a_second_signal_in_a_loop_ends_the_block(self):
    with (
        self.assertRaises(interruption.Interrupted),
        interruption.leaving(),
        interruption.Interruption() as interrupted,
    ):
      for _ in range(2):  # As Slurm does to preempt a job.
        signal.raise_signal(signal.SIGTERM)
        self.assertEqual(interrupted.signal, signal.SIGTERM)
      time.sleep(1.1)
      signal.raise_signal(signal.SIGTERM)

  def test_in_another_thread(self):
    def run():
      with interruption.leaving():
        done.append(True)

    done = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    self.assertTrue(done)

  def test_a_second_signal_has_its_usual_effect(self):
    # A shell's background jobs start with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    self.addCleanup(signal.signal, signal.SIGINT, before)
    with interruption.Interruption() as interrupted:
      signal.raise_signal(signal.SIGINT)
      with self.assertRaises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
      self.assertEqual(interrupted.signal, signal.SIGINT)

  def test_a_signal_before_a_program_is_on(self):
    code = """
import os, signal, sys
number = int(sys.argv[1])
signal.signal(number, signal.SIG_DFL)  # Under nohup SIGHUP stays ignored.
sys.argv[0] = '-m'  # As it is while `python -m` imports the package.
import launch
os.kill(os.getpid(), number)
"""
    for number in interruption.SIGNALS:
      done = subprocess.run(
          [sys.executable, '-c', code, str(int(number)), 'launch.train'],
          cwd=runs.ROOT,
          capture_output=True,
          text=True,
      )
      self.assertEqual(done.returncode, 128 + number)
      self.assertEqual(
          done.stderr,
          f'launch: interrupted by {number.name}; give the same command '
          'again.\n',
      )

  def test_whoever_imports_the_package_keeps_their_signals(self):
    code = """
import signal, sys
sys.argv[0] = '-m'
before = list(map(signal.getsignal, signal.Signals))
import launch.interruption
assert list(map(signal.getsignal, signal.Signals)) == before
"""
    subprocess.run([sys.executable, '-c', code], cwd=runs.ROOT, check=True)

  def test_effects_come_back_after_an_error(self):
    before = [signal.getsignal(number) for number in interruption.SIGNALS]
    with self.assertRaises(ZeroDivisionError), interruption.Interruption():
      _ = 1 / 0
    self.assertEqual(
        [signal.getsignal(number) for number in interruption.SIGNALS], before
    )


if __name__ == '__main__':
  absltest.main()
