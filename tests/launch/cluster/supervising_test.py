"""Tests of launch.cluster.supervising, with small programs for workers.

Covers: here, ports, processes.
"""

from __future__ import annotations

import pathlib
import re
import signal
import sys
import time

from absl.testing import absltest, parameterized

from tests.launch import runs

# Workers are told their start by a file that each appends a line to.
_WORKER = """
import json, os, pathlib, signal, sys, time
value = json.loads(os.environ['TF_CONFIG'])
me, size = value['task']['index'], len(value['cluster']['worker'])
rank = os.environ.get('RANK')
folder = pathlib.Path(sys.argv[1])
with open(folder / f'starts-{me}', 'a') as file:
  file.write(f'{size} {rank} {" ".join(value["cluster"]["worker"])}\\n')
start = len((folder / f'starts-{me}').read_text().splitlines())


def end(code, *, of=0, at=None):
  if me == of and at in (None, start):
    if code < 0:
      os.kill(os.getpid(), -code)
    sys.exit(code)


def row(step):
  (folder / 'metrics.jsonl').write_text(
      json.dumps({'step': step, 'split': 'train'}) + '\\n')


def wait_to_be_told(code):
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(code))
  print('ready', flush=True)
  time.sleep(60)

"""
_LAUNCHER = """
import sys
from launch.cluster import here, restarts, supervising
number, least, restarts_, leave_secs, folder, worker = sys.argv[1:]
job = here.Here(
    [sys.executable, '-c', worker, folder],
    [{'RANK': str(rank)} for rank in range(int(number))], float(leave_secs))
policy = restarts.Policy(int(number), int(least), int(restarts_))
sys.exit(supervising.run(job, policy, workdir=folder))
"""


class SupervisingTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))

  def _start(self, worker, number=2, least=2, restarts=3, leave_secs=0.5):
    return runs.start_python(
        '-c',
        _LAUNCHER,
        str(number),
        str(least),
        str(restarts),
        str(leave_secs),
        str(self.folder),
        _WORKER + worker,
    )

  def _run(self, worker, **options):
    return runs.finish(self._start(worker, **options), timeout_s=60)

  def _starts(self, worker):
    return (self.folder / f'starts-{worker}').read_text().splitlines()

  def _wait_until_ready(self, process, number=2):
    for _ in range(number):
      self.assertRegex(process.stdout.readline(), r'^\[\d\] ready\n$')

  def test_all_end_well(self):
    ended = self._run("print(me); print('wrong', file=sys.stderr)", number=3)
    self.assertEqual(ended.code, 0)
    self.assertCountEqual(ended.out.splitlines(), ['[0] 0', '[1] 1', '[2] 2'])
    self.assertCountEqual(
        ended.err.splitlines(), [f'[{me}] wrong' for me in range(3)]
    )
    clusters = set()
    for worker in range(3):
      size, rank, *addresses = self._starts(worker)[0].split()
      self.assertEqual((size, rank), ('3', str(worker)))
      clusters.add(tuple(addresses))
    [addresses] = clusters
    self.assertLen(set(addresses), 3)
    for address in addresses:
      self.assertRegex(address, r'^localhost:\d+$')

  @parameterized.parameters(
      ('end(2)', 2, 1, 'worker 0 of 2 ended with exit code 2, after'),
      ('end(1, of=1)', 1, 2, 'the second time at this step'),
      ('end(-9, of=1)', 1, 2, 'worker 1 of 2 was ended by SIGKILL'),
      ('row(start); end(1)', 1, 4, '--max_restarts=3'),
      ('end(1, at=1)', 0, 2, 'starting all again (1 of 3)'),
      # One that is told to leave by others than the launcher.
      ('end(-15, of=1, at=1)', 0, 2, 'worker 1 of 2 was ended by SIGTERM'),
      ('end(143, of=1, at=1)', 0, 2, 'worker 1 of 2 was ended by SIGTERM'),
      # One that hangs is ended, and named.
      (
          'end(1, of=1, at=1); time.sleep(60 * (start < 2 and me == 0))',
          0,
          2,
          'worker 0 of 2 did not end within 0.5 s of the others',
      ),
  )
  def test_codes(self, worker, code, num_starts, said):
    ended = self._run(worker)
    self.assertEqual(ended.code, code, ended)
    self.assertIn(said, ended.out)
    self.assertLen(self._starts(0), num_starts)

  def test_one_that_is_lost_twice_is_left_out(self):
    ended = self._run("end(-9, of=1 if rank == '1' else 5)", number=3, least=2)
    self.assertEqual(ended.code, 0, ended)
    self.assertIn('going on with 2 workers, without it', ended.out)
    starts = [line.split()[:2] for line in self._starts(1)]
    self.assertEqual(starts, [['3', '1'], ['3', '1'], ['2', '2']])

  @parameterized.parameters((143, 143), (0, 0), (1, 1))
  def test_a_signal_is_passed_on_once(self, code, expected):
    process = self._start(f'wait_to_be_told({code})')
    with runs.ending(process):
      self._wait_until_ready(process)
      process.send_signal(signal.SIGTERM)
      ended = runs.finish(process, timeout_s=60)
    self.assertEqual(ended.code, expected, ended)
    self.assertLen(self._starts(0), 1)

  def test_a_second_signal_kills(self):
    process = self._start(
        "signal.signal(2, lambda *_: print('heard', flush=True));"
        "print('ready', flush=True)\nwhile True: time.sleep(60)"
    )
    with runs.ending(process):
      self._wait_until_ready(process)
      process.send_signal(signal.SIGINT)
      for _ in range(2):
        self.assertRegex(process.stdout.readline(), r'^\[\d\] heard\n$')
      process.send_signal(signal.SIGINT)
      ended = runs.finish(process, timeout_s=60)
    self.assertEqual((ended.code, ended.out), (130, ''))

  @absltest.skipUnless(sys.platform == 'linux', 'Linux tells children.')
  def test_workers_do_not_outlive_their_launcher(self):
    process = self._start(
        "print(os.getpid(), 'is on', flush=True); time.sleep(60)",
        number=1,
        least=1,
    )
    with runs.ending(process):
      pid = int(re.search(r'(\d+) is on', process.stdout.readline())[1])
      process.kill()
      process.wait()
      deadline = time.monotonic() + 30
      while self._is_on(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
      self.assertFalse(self._is_on(pid))

  def _is_on(self, pid):
    try:
      text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
      return False
    return text.rpartition(')')[2].split()[0] != 'Z'


if __name__ == '__main__':
  absltest.main()
