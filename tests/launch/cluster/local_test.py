"""Tests of launch.cluster.local, with workers that train.

Covers: passed_on, starting.
"""

from __future__ import annotations

import json
import pathlib
import signal

import pytest
from absl.testing import absltest, parameterized

from tests.launch import runs, workers

# The last of so many workers is lost whenever it gets to the end of epoch 1.
_LOST = """
import json, os, signal


def lost(step, values, num_workers):
  members = json.loads(os.environ.get('TF_CONFIG', '{}'))
  size = len(members['cluster']['worker']) if members else 1
  if size == num_workers > members['task']['index'] == size - 1:
    if step == {step}:
      os.kill(os.getpid(), signal.SIGKILL)
"""
_CHANGES = dict(
    num_steps=50,
    log_every_steps=1,
    checkpoint_every_steps=15,
    optimizer='sgd',
    learning_rate=0.1,
)


def _start(number, *flags, own=(), **options):
  return runs.start(
      'cluster.local',
      f'--num_workers={number}',
      *own,
      '--',
      '--compilation_cache_dir=',
      *flags,
      **options,
  )


class LocalTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.workdir = self.root / 'run'

  def _config(self, num_workers, **changes):
    (self.root / 'parts.py').write_text(
        _LOST.replace('{step}', str(runs.STEPS_PER_EPOCH))
    )
    return runs.config(
        **_CHANGES,
        workdir=str(self.workdir),
        hooks=(f'{self.root}/parts.py:lost',),
        hook_arg={'lost.num_workers': num_workers},
        **changes,
    )

  def _assert_equal_to_one(self, num_workers):
    one = self.root / 'one'
    runs.train(one, **_CHANGES)
    workers.assert_equal(self, self.workdir, one)
    self.assertEqual(runs.result(one)['shapes'], [_shape(0, 1)])

  @pytest.mark.medium
  def test_a_worker_is_left_out_and_the_run_is_equal(self):
    """Of two workers one is lost twice; the other goes on alone."""
    process = _start(
        2, *runs.arguments(self._config(2)), own=('--min_workers=1',)
    )
    with runs.ending(process):
      ended = runs.finish(process)
    self.assertEqual(ended.code, 0, ended)
    at = f'was ended by SIGKILL at step {runs.STEPS_PER_EPOCH}'
    self.assertEqual(ended.out.count(f'worker 1 of 2 {at}'), 2, ended.out)
    self.assertIn('[0] resumed from', ended.out)
    self.assertIn('over 2 CPU replica(s)', ended.out)
    self.assertIn('over 1 CPU replica(s)', ended.out)
    for line in ended.err.splitlines():
      self.assertRegex(line, r'^\[0\] ')
    result = runs.result(self.workdir)
    self.assertEqual(result['shapes'], [_shape(0, 2), _shape(15, 1)])
    config = json.loads((self.workdir / 'config.json').read_text())
    self.assertEqual(config['shapes'], result['shapes'])
    self._assert_equal_to_one(2)

  @pytest.mark.slow
  def test_three_workers_then_two_then_three(self):
    config = self._config(3)
    flags = runs.arguments(config)
    process = _start(3, *flags, '--max_minutes=60', own=('--min_workers=2',))
    with runs.ending(process):
      runs.wait_for_step(process, self.workdir, runs.STEPS_PER_EPOCH + 5)
      process.send_signal(signal.SIGTERM)
      ended = runs.finish(process)
    if ended.code:  # Else it was too late.
      self.assertEqual(ended.code, 143, ended)
      self.assertIn('[0] Interrupted: saved step', ended.out)
    self.assertIn('with 2 workers, without it', ended.out)
    process = _start(3, *flags)
    with runs.ending(process):
      self.assertEqual(runs.finish(process).code, 0)
    shapes = runs.result(self.workdir)['shapes']
    self.assertEqual(shapes[:2], [_shape(0, 3), _shape(15, 2)])
    self._assert_equal_to_one(3)
    process = _start(
        2,
        f'--workdir={self.workdir}',
        f'--data_dir={runs.data_dir()}',
        own=('--program=evaluate',),
    )
    with runs.ending(process):
      ended = runs.finish(process)
    self.assertEqual(ended.code, 0, ended)
    self.assertIn(f'[0] {self.workdir}/checkpoints/ckpt-50; ', ended.out)

  @parameterized.parameters(
      ((), ('--workdir=run',), '--num_workers is missing'),
      (('--num_workers=2',), (), '--workdir is missing after --'),
      (
          ('--num_workers=2', '--min_workers=3'),
          ('--workdir=run',),
          '--min_workers=3: expected at most --num_workers=2',
      ),
      (
          ('--num_workers=2',),
          ('--workdir=run', '--optimiser=adam'),
          "flag 'optimiser'",
      ),
      (
          ('--num_workers=2',),
          ('--workdir=run', '--learning_rate=-1'),
          'learning_rate',
      ),
      (
          ('--num_workers=2', '--program=evaluate'),
          ('--workdir=run', '--seed=1'),
          "flag 'seed'",
      ),
      (('--num_workers=0',), ('--workdir=run',), 'num_workers'),
      (
          ('--num_workers=2',),
          ('--workdir=run', '--max_restarts=1'),
          "flag 'max_restarts'",
      ),
  )
  def test_a_mistake_costs_one_line(self, own, given, message):
    self._check_mistake((*own, '--', *given), message)

  @parameterized.parameters('--workdir=run', '--seed')
  def test_flags_before_the_dashes(self, flag):
    name = flag.partition('=')[0]
    self._check_mistake(
        ('--num_workers=2', flag),
        f'{name} is not a flag of this program; those',
    )

  def _check_mistake(self, arguments, message):
    ended = runs.finish(
        runs.start_python('-m', 'launch.cluster.local', *arguments)
    )
    self.assertEqual((ended.code, ended.out), (2, ''), ended)
    self.assertLen(ended.err.splitlines(), 1)
    self.assertIn(message, ended.err)


def _shape(step, number):
  return {'step': step, 'num_workers': number, 'num_replicas': number}


if __name__ == '__main__':
  absltest.main()
