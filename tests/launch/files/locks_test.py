"""Tests of launch.files.locks: one process writes, and none that is dead."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import signal
import threading
import time
from unittest import mock

from absl.testing import absltest, parameterized

from launch import programs
from launch.files import locks
from tests.launch import runs

_HOLDER = """
import pathlib, sys, time
from launch.files import locks
lock = locks.acquire(pathlib.Path(sys.argv[1]))
print('held', flush=True)
time.sleep(600)
"""


class LocksTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.path = self.root / locks.NAME
    self.said = []
    for name, secs in (('RENEW_SECS', 0.02), ('PATIENCE_SECS', 0.3)):
      self.enter_context(mock.patch.object(locks, name, secs))

  def acquire(self):
    lock = locks.acquire(self.root, self.said.append)
    self.addCleanup(lock.release)
    return lock

  def assert_held(self, message):
    with self.assertRaisesRegex(
        programs.UserError, f'{self.root} is in use by {message}; wait'
    ):
      locks.acquire(self.root, self.said.append)

  def test_one_at_a_time(self):
    lock = locks.acquire(self.root)
    owner = json.loads(self.path.read_text())
    self.assertEqual(owner['pid'], os.getpid())
    self.assertGreater(owner['process_start'], 0)
    self.assertTrue(lock.is_held())
    self.assert_held(f'process {os.getpid()} on {owner["host"]}, since 2.*')
    lock.release()
    self.assertEmpty(os.listdir(self.root))
    self.acquire()

  def test_a_lock_goes_with_its_process(self):
    process = runs.start_python('-c', _HOLDER, str(self.root))
    with runs.ending(process):
      self.assertEqual(process.stdout.readline(), 'held\n')
      self.assert_held(f'process {process.pid} on .*')
      process.send_signal(signal.SIGKILL)
      process.wait()
      self.assertTrue(self.path.exists())
      self.acquire()
    self.assertEmpty(self.said)  # There was no need to watch it.

  def test_it_is_noticed_that_the_lock_is_gone(self):
    lock = locks.acquire(self.root)
    self.path.unlink()
    self.assertFalse(lock.is_held())
    other = self.acquire()
    lock.release()  # It leaves the other's alone.
    self.assertTrue(other.is_held())

  def other_machine(self):
    owner = {'host': 'elsewhere', 'pid': 7, 'boot': 'another', 'time': 'noon'}
    self.path.write_text(json.dumps(owner))

  def no_locks(self):
    self.enter_context(
        mock.patch.object(fcntl, 'flock', side_effect=OSError(95, 'none'))
    )

  def test_a_dead_owner_on_another_machine(self):
    self.other_machine()
    self.acquire()
    self.assertRegex(
        self.said[0], 'process 7 on elsewhere, since noon; waiting for up to'
    )

  @parameterized.parameters(True, False)
  def test_an_owner_that_lives_on_another_machine(self, has_locks):
    self.other_machine()
    if not has_locks:
      self.no_locks()
    ended = threading.Event()

    def renew():
      while not ended.wait(0.02):
        os.utime(self.path)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
      self.assert_held('process 7 on elsewhere, since noon')
    finally:
      ended.set()
      thread.join()

  def test_an_owner_elsewhere_that_ends_meanwhile(self):
    self.other_machine()
    timer = threading.Timer(0.05, self.path.unlink)
    timer.start()
    lock = self.acquire()
    timer.join()
    self.assertTrue(lock.is_held())

  def test_a_file_system_without_locks(self):
    self.no_locks()
    self.acquire()
    self.assert_held(f'process {os.getpid()} on .*')

  def test_the_owner_renews_it(self):
    self.acquire()
    os.utime(self.path, (0, 0))
    deadline = time.monotonic() + 10
    while not self.path.stat().st_mtime and time.monotonic() < deadline:
      time.sleep(0.01)
    self.assertGreater(self.path.stat().st_mtime, 0)

  @parameterized.parameters('', '[]', '{', '\0')
  def test_a_lock_file_that_says_nothing(self, text):
    self.path.write_text(text)
    self.acquire()


if __name__ == '__main__':
  absltest.main()
