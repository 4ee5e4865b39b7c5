"""Tests of launch.cluster.ray; the slow ones on a Ray of their own.

Covers: ray_workers.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import signal
import sys

import pytest
from absl.testing import absltest, parameterized

from launch.cluster import ray_workers
from tests.launch import runs, workers

_HAS_RAY = importlib.util.find_spec('ray') is not None
# Worker 1 is lost at one step, and at another the process of Ray around it.
_LOST = """
import json, os, pathlib, signal


def lost(step, values, folder):
  if json.loads(os.environ.get('TF_CONFIG', '{}')).get('task', {}).get('index'):
    for at, pid in ((20, os.getpid()), (40, os.getppid())):
      mark = pathlib.Path(folder, str(at))
      if step == at and not mark.exists():
        mark.touch()
        os.kill(pid, signal.SIGKILL)
"""
_CHANGES = dict(
    num_steps=50,
    log_every_steps=1,
    checkpoint_every_steps=15,
    optimizer='sgd',
    learning_rate=0.1,
)


def _start(*flags, own=(), **options):
  return runs.start(
      'cluster.ray',
      '--num_workers=2',
      *own,
      '--',
      '--compilation_cache_dir=',
      *flags,
      **options,
  )


class WorkerTest(parameterized.TestCase):
  """A worker and the desk, without Ray."""

  def setUp(self):
    super().setUp()
    self.folder = runs.scratch(self)
    self.desk = ray_workers.Desk(2)

  def _run(self, code, worker=1):
    return ray_workers.run_command(
        [sys.executable, '-c', code], self.folder, worker, self.desk.tell
    )

  def test_its_lines_and_its_code_are_told(self):
    code = self._run(
        'import os, sys; print(os.getcwd()); print("no", file=sys.stderr);'
        'sys.exit(3)'
    )
    self.assertEqual(code, 3)
    self.assertCountEqual(
        self.desk.lines(),
        [
            ('stdout', f'[1] {os.path.realpath(self.folder)}\n'),
            ('stderr', '[1] no\n'),
        ],
    )
    self.assertEmpty(self.desk.lines())

  def test_a_signal_is_sent_once(self):
    self.desk.send(signal.SIGTERM)
    code = self._run(
        'import signal, time\n'
        'signal.pthread_sigmask(signal.SIG_BLOCK, [15])\n'
        'times = sum(bool(signal.sigtimedwait([15], 2)) for _ in range(2))\n'
        'raise SystemExit(100 + times)'
    )
    self.assertIn(code, (101, 143))  # 143: before it was blocked.

  def test_ray_does_not_choose_the_keras(self):
    code = self._run(
        'import os; raise SystemExit("TF_USE_LEGACY_KERAS" in os.environ)'
    )
    self.assertEqual(code, 0)

  def test_the_desk_knows_who_was_first(self):
    self.assertEqual(self.desk.codes(), ([None, None], [None, None]))
    self.desk.ended(1, 0)
    self.desk.ended(1, 137)
    self.desk.ended(0, 1)
    self.assertEqual(self.desk.codes(), ([1, 137], [None, 137]))


class RayTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.workdir = self.root / 'run'

  @pytest.mark.slow
  @absltest.skipIf(not _HAS_RAY, 'Ray is not installed.')
  def test_losses_and_a_signal_and_the_run_is_equal(self):
    (self.root / 'parts.py').write_text(_LOST)
    flags = runs.arguments(
        runs.config(
            **_CHANGES,
            workdir=str(self.workdir),
            hooks=(f'{self.root}/parts.py:lost',),
            hook_arg={'lost.folder': str(self.root)},
        )
    )
    process = _start(*flags)
    with runs.ending(process):
      runs.wait_for_step(process, self.workdir, 25)
      process.send_signal(signal.SIGTERM)
      ended = runs.finish(process)
    self.assertEqual(ended.code, 143, ended)
    self.assertIn('[0] Interrupted: saved step', ended.out)
    said = 'worker 1 of 2 was ended by SIGKILL at step 20'
    self.assertIn(said, ended.out)
    process = _start(*flags)
    with runs.ending(process):
      ended = runs.finish(process)
    self.assertEqual(ended.code, 0, ended)
    self.assertRegex(ended.out, r'worker 1 of 2 was lost by Ray .* at step 40')
    self.assertIn('over 2 CPU replica(s)', ended.out)
    one = self.root / 'one'
    runs.train(one, **_CHANGES)
    workers.assert_equal(self, self.workdir, one)
    self.assertCountEqual(
        [path.name for path in self.root.iterdir() if path.name[0] == '.'], []
    )
    # What is a mistake of one of them ends all, and is not tried again.
    process = _start(
        *runs.arguments(
            runs.config(
                **{**_CHANGES, 'learning_rate': 0.2}, workdir=str(self.workdir)
            )
        )
    )
    with runs.ending(process):
      ended = runs.finish(process)
    self.assertEqual(ended.code, 2, ended)
    self.assertIn('that is a usage error', ended.out)

  @absltest.skipIf(_HAS_RAY, 'Ray is installed.')
  def test_without_ray_it_says_where_to_get_it(self):
    ended = runs.finish(_start(f'--workdir={self.workdir}'))
    self.assertEqual((ended.code, ended.out), (2, ''), ended)
    self.assertIn(f"pip install '{runs.ROOT}[ray]' brings it", ended.err)
    self.assertFalse(self.root.joinpath('run').exists())

  @parameterized.parameters(
      ((), ('--workdir=run', '--optimiser=adam'), "flag 'optimiser'"),
      (
          ('--min_workers=3',),
          ('--workdir=run',),
          '--min_workers=3: expected at most --num_workers=2',
      ),
      ((), (), '--workdir is missing after --'),
      (('--num_workers=0',), ('--workdir=run',), 'num_workers'),
  )
  def test_a_mistake_costs_one_line(self, own, given, message):
    ended = runs.finish(_start(*given, own=own))
    self.assertEqual((ended.code, ended.out), (2, ''), ended)
    self.assertLen(ended.err.splitlines(), 1)
    self.assertIn(message, ended.err)


if __name__ == '__main__':
  absltest.main()
