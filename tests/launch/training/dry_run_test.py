"""Tests of `launch.train --dry_run`.

Covers: preparing.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from launch.training import dry_run
from tests import small_datasets
from tests.launch import houses, runs

_PARTS = (
    'start, with the data',
    'first step, with tracing',
    'train step',
    'first evaluation, with tracing',
    'validation',
    'test',
    'save',
    'report',
)
_LAST = re.compile(
    r'([\d,]+) steps: ([\d:]+) in all, of which ([\d:]+) in training, at most '
    r'([\d.]+) of [\d.]+ GB of memory.*Nothing was written\.'
)
# The relative errors that forecasts of recipes may have, in several attempts,
# since another process may slow the machine down.
_TIME, _MEMORY, _ATTEMPTS = 0.30, 0.25, 4


def _seconds(text):
  seconds = 0
  for part in text.split(':'):
    seconds = 60 * seconds + int(part)
  return seconds


def _rehearse(*arguments, config=None):
  """Calls the program with a short time of steps."""
  config = config or runs.config()
  with mock.patch.object(dry_run, 'STEP_SECS', 0.1):
    return runs.call('train', '--dry_run', *runs.arguments(config), *arguments)


class DryRunTest(parameterized.TestCase):

  @pytest.mark.medium
  def test_a_process_leaves_nothing(self):
    folder = pathlib.Path(runs.scratch(self))
    (folder / 'tmp').mkdir()
    ended = runs.finish(
        runs.start(
            'train',
            '--dry_run',
            f'--workdir={folder}/run',
            *runs.arguments(runs.config()),
            environment={
                'TMPDIR': f'{folder}/tmp',
                'XDG_CACHE_HOME': f'{folder}/cache',
                'MPLCONFIGDIR': runs.scratch(self),  # It keeps a list of fonts.
            },
        )
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(list(folder.rglob('*')), [folder / 'tmp'])
    named = [line.partition('  ')[0] for line in ended.out.splitlines()]
    self.assertContainsSubset(_PARTS, named)
    found = _LAST.search(ended.out)
    self.assertEqual(found[1], '40')
    self.assertLess(_seconds(found[3]), _seconds(found[2]) + 1)
    self.assertBetween(float(found[4]), 0.2, 4)

  @pytest.mark.medium
  def test_the_parts_are_those_of_the_run(self):
    folder = pathlib.Path(runs.scratch(self))
    ended = _rehearse(f'--workdir={folder}/run', '--num_epochs=7')
    self.assertEqual((ended.code, ended.err), (0, ''))
    times = {
        name: int(line.split()[-2].replace(',', ''))
        for line in ended.out.splitlines()
        for name in _PARTS
        if line.startswith(f'{name} ')
    }
    self.assertEqual(times['train step'], 7 * runs.STEPS_PER_EPOCH - 1)
    self.assertEqual((times['validation'], times['test']), (7, 1))
    self.assertEqual(times['save'], 7)  # Of --checkpoint_every_steps.
    # The run afterwards has the weights that it would have had.
    self.assertEqual(runs.train(folder / 'run').code, 0)
    self.assertEqual(runs.digest(folder / 'run'), runs.digest(runs.finished()))

  def test_another_task_and_no_other_split(self):
    config = runs.config(
        **houses.CONFIG,
        dataset=houses.dataset(),
        num_steps=1,
        validation_split='none',
        test_split='none',
    )
    ended = _rehearse(config=config)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('\n1 steps: ', ended.out)
    self.assertNotIn('\nvalidation ', ended.out)

  def test_what_would_not_begin_is_refused(self):
    workdir = runs.finished()
    before = {path: path.stat() for path in workdir.rglob('*')}
    for arguments, message in (
        ((f'--workdir={workdir}', '--seed=9'), 'holds a run with other flags'),
        (('--overfit_batch',), '--dry_run, --overfit_batch: give one of them'),
        (('--model_arg=width=3',), 'width'),
        (('--global_batch_size=1000',), '1000 is more than the 240 training'),
        (('--init_from=/nowhere',), '--init_from=/nowhere'),
    ):
      ended = _rehearse(*arguments)
      self.assertEqual((ended.code, ended.out), (2, ''), arguments)
      self.assertIn(message, ended.err)
      self.assertEqual(ended.err.count('\n'), 1)
    after = {path: path.stat() for path in workdir.rglob('*')}
    self.assertEqual(
        {path: each.st_mtime_ns for path, each in after.items()},
        {path: each.st_mtime_ns for path, each in before.items()},
    )

  def test_several_workers_are_refused_at_once(self):
    cluster = {'worker': ['localhost:1', 'localhost:2']}
    task = {'type': 'worker', 'index': 0}
    several = json.dumps({'cluster': cluster, 'task': task})
    with mock.patch.dict(os.environ, {'TF_CONFIG': several}):
      ended = _rehearse()
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn('--dry_run: it is for one process', ended.err)


class ForecastTest(parameterized.TestCase):

  @parameterized.parameters('mlp', 'cpu', 'convnet')
  @pytest.mark.slow
  @absltest.skipIf(
      small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
  )
  def test_of_recipes_for_cpus(self, recipe):
    folder = runs.scratch(self)
    arguments = (
        '-m',
        'launch.train',
        f'--flagfile=launch/recipes/fashion_mnist_{recipe}.flags',
        f'--data_dir={folder}/data',
        '--compilation_cache_dir=',
        f'--archives_dir={small_datasets.FASHION_MNIST_DIR}',
        '--collective_timeout=0',
    )
    errors = []
    for attempt in range(_ATTEMPTS):
      workdir = f'{folder}/run{attempt}'
      if not attempt:  # The data are prepared once.
        self._run(*arguments, f'--workdir={workdir}', '--dry_run')
      said = self._run(*arguments, f'--workdir={workdir}', '--dry_run')
      self._run(*arguments, f'--workdir={workdir}')
      result = json.loads(pathlib.Path(workdir, 'result.json').read_text())
      memory = result['machine']['peak_memory_bytes']['host'] / 1e9
      found = _LAST.search(said)
      errors.append((
          _seconds(found[2]) / result['seconds'] - 1,
          float(found[4]) / memory - 1,
      ))
      if abs(errors[-1][0]) <= _TIME and abs(errors[-1][1]) <= _MEMORY:
        return
    self.fail(errors)

  def _run(self, *arguments):
    """Returns what a process printed."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=runs.ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    self.assertEqual(ended.returncode, 0, ended.stdout)
    return ended.stdout


if __name__ == '__main__':
  absltest.main()
