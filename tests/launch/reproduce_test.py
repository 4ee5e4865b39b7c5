"""Tests of launch.reproduce."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from launch.reporting import writing
from tests.launch import runs, workers

_CODE = """
def stop(step, values):
  return 'enough' if step >= 20 else None


def load():
  import numpy as np
  points = np.random.default_rng(0).normal(size=[60, 4]).astype(np.float32)
  label = np.argmax(points[:, :3], axis=1)
  return {'train': {'points': points[:48], 'label': label[:48]},
          'test': {'points': points[48:], 'label': label[48:]}}
"""
_SHORT = dict(num_steps=8, hash_every_steps=4, jit_compile='off')


class ReproduceTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self)).resolve()
    # Plots take longer than these runs.
    self.enter_context(mock.patch.object(writing, 'write'))
    # It is not to go with this test.
    self.data = (f'--data_dir={runs.data_dir()}',)
    self.temporary = self.root / 'temporary'
    self.temporary.mkdir()
    self.enter_context(
        mock.patch.object(tempfile, 'tempdir', str(self.temporary))
    )

  def train(self, name='run', **changes):
    ended = runs.train(self.root / name, **{**_SHORT, **changes})
    self.assertEqual(ended.code, 0, ended.err)
    return self.root / name

  def reproduce(self, *arguments, code=0, num_replicas=1):
    ended = runs.call(
        'reproduce', *map(str, arguments), num_replicas=num_replicas
    )
    self.assertEqual(ended.code, code, ended)
    return ended

  def left(self):
    return [
        path
        for path in self.temporary.glob('quatrain-*')
        if (path / 'config.json').exists()
    ]

  def test_the_same_again(self):
    run = self.train()
    before = {p: p.read_bytes() for p in run.rglob('*') if p.is_file()}
    ended = self.reproduce(run)
    self.assertEqual(ended.err, '')
    self.assertRegex(
        ended.out.splitlines()[-1],
        r'^equal: \d+ rows and 3 hashes of weights agree to the bit$',
    )
    self.assertEmpty(self.left())
    self.assertEqual(
        {p: p.read_bytes() for p in run.rglob('*') if p.is_file()}, before
    )

  @pytest.mark.slow
  def test_not_the_same(self):
    run = self.train()
    path = run / 'config.json'
    values = json.loads(path.read_text())
    values['config']['learning_rate'] = 0.004
    path.write_text(json.dumps(values))
    again = self.root / 'again'
    ended = self.reproduce(run, f'--workdir={again}', code=1)
    self.assertIn('they differ, ', ended.out)
    self.assertIn('first in step 4, ', ended.out)
    self.assertTrue((again / 'result.json').exists())
    # It is complete: to compare with it proves nothing.
    ended = self.reproduce(run, f'--workdir={again}', code=2)
    self.assertIn('has a run that is complete; launch.diff', ended.err)

  @pytest.mark.slow
  def test_other_replicas_differ_by_rounding(self):
    run = self.train()
    ended = self.reproduce(run, code=1, num_replicas=2)
    self.assertRegex(ended.out, r'by at most [\d.]+e-0[5-9] of a value')
    self.assertLen(self.left(), 1)

  def test_what_a_hook_ended(self):
    (self.root / 'my_stop.py').write_text(_CODE)
    self.addCleanup(runs.forget, 'my_stop')
    with contextlib.chdir(self.root):
      run = self.train(
          dataset='my_stop.py:load',
          model='tabular',
          model_arg={'hidden_sizes': (4,)},
          hooks=('my_stop.py:stop',),
          num_steps=None,
          num_epochs=20,
          validation_examples=None,
      )
    stopped = runs.result(run)['stopped']
    self.assertEqual((stopped['hook'], stopped['step']), ('stop', 21))
    runs.forget('my_stop')
    ended = self.reproduce(run)  # From elsewhere, by the recorded path.
    self.assertIn('equal: ', ended.out)
    (self.root / 'my_stop.py').write_text(_CODE.replace('>= 20', '>= 16'))
    ended = self.reproduce(run, code=2)
    self.assertIn('my_stop.py, which the run uses, has changed', ended.err)
    runs.forget('my_stop')
    ended = self.reproduce(run, '--accept_changes', code=1)
    self.assertIn('num_steps', ended.out)
    self.assertRegex(ended.out, r'code +\S*my_stop')

  def test_what_the_clock_ended(self):
    run = self.train(max_minutes=1e-9, num_steps=100)
    result = runs.result(run)
    self.assertEqual(result['stopped']['hook'], 'MaxMinutes')
    self.assertLess(result['num_steps'], 100)
    self.assertIn('equal: ', self.reproduce(run).out)

  @pytest.mark.slow
  def test_what_was_stopped_and_gone_on_with(self):
    run = self.root / 'run'
    with runs.signal_at(5, 15):
      ended = runs.train(run, **_SHORT)
    self.assertEqual(ended.code, 143)
    ended = self.reproduce(run, code=2)
    self.assertIn('the run is not complete', ended.err)
    self.train(keep_checkpoints=2)  # It may change.
    self.assertIn('equal: ', self.reproduce(run).out)
    self.train(num_steps=12, learning_rate=0.1, accept_changes=True)
    ended = self.reproduce(run, code=2)
    self.assertIn('learning_rate changed at step 8, so no single', ended.err)
    self.assertEqual(ended.out, '')

  def test_several_workers_need_a_work_directory(self):
    """However many there were before."""
    cluster = {
        'cluster': {'worker': ['localhost:1', 'localhost:2']},
        'task': {'type': 'worker', 'index': 1},
    }
    run = shutil.copytree(runs.finished(), self.root / 'copy')
    config = run / 'config.json'
    values = json.loads(config.read_text())
    values['program']['strategy'] = 'auto'
    config.write_text(json.dumps(values))
    with mock.patch.dict(os.environ, TF_CONFIG=json.dumps(cluster)):
      ended = self.reproduce(run, code=2)
    self.assertIn('--workdir is missing: several workers', ended.err)
    made = {path.name for path in self.temporary.glob('quatrain-*')}
    # What is compiled has a folder that goes with the process.
    self.assertEmpty({n for n in made if not n.startswith('quatrain-xla-')})

  @pytest.mark.slow
  def test_workers_compare_once(self):
    """The first one, which knows when the result is written."""
    run = self.root / 'run'
    config = runs.config(**_SHORT)
    for each in workers.start(run, config, own=(self.data, self.data)):
      self.assertEqual(runs.finish(each).code, 0)
    first, second = map(
        runs.finish,
        workers.start(
            self.root / 'again',
            config,
            'reproduce',
            own=((str(run), *self.data), (str(run), *self.data)),
        ),
    )
    self.assertEqual((first.code, second.code), (0, 0), (first, second))
    self.assertIn('equal: ', first.out)
    self.assertNotIn('equal: ', second.out)

  @parameterized.parameters(
      ((), 'expected the work directory of one run, got 0'),
      (('/nowhere',), ': /nowhere: there is no run'),
      (('a', 'b'), 'got 2'),
  )
  def test_mistakes(self, arguments, message):
    ended = self.reproduce(*arguments, code=2)
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)

  def test_more_mistakes(self):
    run = shutil.copytree(runs.finished(), self.root / 'copy')
    ended = self.reproduce(run, f'--workdir={run}', code=2)
    self.assertIn('is complete', ended.err)
    path = run / 'config.json'
    values = json.loads(path.read_text())
    values['config']['dataset'] = 'given by a program'
    path.write_text(json.dumps(values))
    ended = self.reproduce(run, code=2)
    self.assertIn('its dataset was an object of the program', ended.err)


if __name__ == '__main__':
  absltest.main()
