"""Tests of launch/cluster/slurm.sbatch, on a Slurm with two nodes here.

Covers: slurm.
"""

from __future__ import annotations

import os
import pathlib
import signal
import sys

import pytest
from absl.testing import absltest

from tests.launch import runs, workers
from tests.launch.cluster import slurm_cluster

_SCRIPT = runs.ROOT / 'launch' / 'cluster' / 'slurm.sbatch'
_CHANGES = dict(
    num_steps=1500,
    log_every_steps=50,
    checkpoint_every_steps=50,
    eval_every_epochs=100,
)
_WHY_NOT = slurm_cluster.why_not()


@absltest.skipIf(_WHY_NOT is not None, _WHY_NOT or '')
class SbatchTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.workdir = self.root / 'run'
    (self.root / 'slurm').mkdir()
    self.slurm = self.enter_context(slurm_cluster.running(self.root / 'slurm'))

  def _submit(self, *options, python=sys.executable, **changes):
    config = runs.config(
        **{**_CHANGES, **changes},
        workdir=str(self.workdir),
        compilation_cache_dir='',
    )
    return self.slurm.run(
        'sbatch',
        '--parsable',
        f'--output={self.root}/log',
        f'--chdir={self.root}',
        f'--export=ALL,PYTHON={python},PYTHONPATH={runs.ROOT}',
        *options,
        str(_SCRIPT),
        *runs.arguments(config),
    )

  def _program(self, text):
    """Writes a program that stands in for the Python of the workers."""
    path = self.root / 'program'
    path.write_text(f'#!/bin/bash\necho starts\n{text}\n')
    path.chmod(0o755)
    return path

  def _wait_for(self, text):
    self.slurm.wait_until(lambda: text in self._log(), self._log)

  def _wait_for_step(self, step):
    self.slurm.wait_until(
        lambda: any(row['step'] >= step for row in runs.rows(self.workdir)),
        self._log,
    )

  def _preempt(self, job):
    """Has another job take the nodes for a second."""
    urgent = ('--partition=urgent', '--nodes=2', '--exclusive')
    quiet = ('--parsable', '--output=/dev/null', '--wrap=sleep 1')
    other = self.slurm.run('sbatch', *urgent, *quiet)
    self.slurm.wait_for(job, 'PENDING')
    self.slurm.wait_for(other, 'COMPLETED')

  def _log(self):
    path = self.root / 'log'
    return path.read_text() if path.exists() else ''

  def _assert_equal_to_one(self, **changes):
    one = self.root / 'one'
    runs.train(one, **{**_CHANGES, **changes})
    workers.assert_equal(self, self.workdir, one)

  @pytest.mark.slow
  def test_preempted_it_is_queued_again_and_ends_like_one_process(self):
    longer = dict(num_steps=4000)  # Not over before it is preempted.
    job = self._submit(**longer)
    self._wait_for_step(100)
    no_grace = ('PartitionName=all', 'GraceTime=0')  # SIGTERM comes twice.
    self.slurm.run('scontrol', 'update', *no_grace)
    self._preempt(job)
    self.slurm.start_now(job)
    self.slurm.wait_for(job, 'COMPLETED')
    log = self._log()
    self.assertIn('Interrupted: saved step', log)
    self.assertIn('resumed from', log)
    self.assertIn('over 2 CPU replica(s)', log)
    self.assertNotIn('slurm.sbatch:', log)  # Slurm itself queued it.
    self.assertEqual(
        runs.result(self.workdir)['shapes'],
        [{'step': 0, 'num_workers': 2, 'num_replicas': 2}],
    )
    self._assert_equal_to_one(**longer)

  @pytest.mark.slow
  def test_after_its_time_and_after_losses_it_goes_on(self):
    # So long that it cannot be over before its time.
    (self.root / 'parts.py').write_text(
        'import time\n\ndef wait(step, values):\n  time.sleep(1.0)\n'
    )
    longer = dict(num_steps=2000, checkpoint_every_steps=200)
    waiting = dict(hooks=(f'{self.root}/parts.py:wait',), eval_every_epochs=1)
    job = self._submit('--signal=B:TERM@85', **longer, **waiting)
    self._wait_for_step(20)
    limit = (self.slurm.seconds(job) + 90) // 60  # 30 to 90 seconds are left.
    self.slurm.run('scontrol', 'update', f'JobId={job}', f'TimeLimit={limit}')
    self.slurm.wait_for(job, 'PENDING')
    self.assertRegex(self._log(), r'the time is up, and step \d+ is saved')
    self.slurm.run('scontrol', 'update', f'JobId={job}', 'TimeLimit=60')
    for _ in range(2):  # Nothing is saved between the two.
      self.slurm.start_now(job)
      self.slurm.wait_for(job, 'RUNNING')
      self.slurm.wait_until(lambda: self.slurm.worker(job, 1), self._log)
      os.kill(self.slurm.worker(job, 1), signal.SIGKILL)
      state = self.slurm.wait_for(job, 'PENDING', 'FAILED')
    self.assertEqual(state, 'FAILED')
    log = self._log()
    self.assertIn('lost a worker (exit code', log)
    self.assertIn('not tried again', log)
    # A start with other nodes goes on.
    job = self._submit('--nodes=1', **longer, **waiting)
    self.slurm.wait_for(job, 'COMPLETED')
    shapes = runs.result(self.workdir)['shapes']
    self.assertEqual([each['num_workers'] for each in shapes], [2, 1])
    self._assert_equal_to_one(**longer, eval_every_epochs=1)

  @pytest.mark.slow
  def test_preempted_with_a_grace_time_it_has_no_loss(self):
    job = self._submit(
        python=self._program(
            '((SLURM_RESTART_COUNT > 0)) && exit\n'
            'trap "exit 143" TERM; sleep 600 & wait'
        )
    )
    self._wait_for('starts\nstarts')
    self._preempt(job)
    self._wait_for('told to end by SIGTERM, and step 0 is saved; queued again')
    self.assertEmpty(list(self.root.glob('*.losses')))
    self.slurm.start_now(job)
    self.slurm.wait_for(job, 'COMPLETED')

  @pytest.mark.slow
  def test_a_loss_while_the_controller_is_away(self):
    file = self.root / 'lost'
    job = self._submit(
        python=self._program(
            f'until [[ -e {file} ]]; do sleep 0.1; done\nexit 1'
        )
    )
    self._wait_for('starts\nstarts')
    self.slurm.stop_controller()
    file.touch()
    self._wait_for('Unable to contact slurm controller')
    self.slurm.start_controller()
    self._wait_for('queued again')
    self.slurm.wait_for(job, 'PENDING')
    self.assertEqual(
        (self.root / f'quatrain-{job}.losses').read_text(), '1 0\n'
    )

  @pytest.mark.slow
  def test_a_mistake_is_not_tried_again(self):
    job = self._submit(model='mlq')
    self.slurm.wait_for(job, 'FAILED')
    self.assertEqual(self.slurm.job(job)['ExitCode'], '2:0')
    self.assertEqual(self.slurm.job(job)['Restarts'], '0')


if __name__ == '__main__':
  absltest.main()
