"""Tests of runs that begin with what an earlier one has learned.

Covers: training.init_from.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import shutil
import signal
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch.hooks import saving
from tests.launch import fine_tuning, runs


@functools.cache
def _source():
  """Returns the work directory of a finished run, which is not to change."""
  workdir = fine_tuning.folder() / 'source'
  ended = fine_tuning.train(workdir, 5, checkpoint_every_steps=2)
  if ended.code:
    raise AssertionError(ended)
  return workdir


def _saved(workdir, name):
  """Reads a variable of the model out of the last checkpoint."""
  path = tf.train.latest_checkpoint(f'{workdir}/checkpoints')
  key = f'variables/model.S{name.replace("/", ".S")}/.ATTRIBUTES/VARIABLE_VALUE'
  return tf.train.load_checkpoint(path).get_tensor(key)


class FineTuningTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def train(self, name, *args, code=0, **changes):
    ended = fine_tuning.train(self.root / name, *args, **changes)
    self.assertEqual(ended.code, code, ended.err)
    return ended

  def config(self, name):
    return json.loads((self.root / name / 'config.json').read_text())

  @pytest.mark.medium
  def test_another_number_of_classes(self):
    """Frozen, killed, resumed without the source, and over two replicas."""
    source = shutil.copytree(_source(), self.root / 'source')
    changes = dict(
        init_from=str(source),
        freeze='hidden/.*',
        learning_rates={'output/.*': 10.0},
        num_steps=12,
    )
    ended = self.train('run', **changes)
    self.assertIn(
        '--init_from: 2 of 4 variables begin with their values in '
        f'{source}/checkpoints/ckpt-4\n  output/linear/b keeps',
        ended.out,
    )
    initial = self.config('run')['initial']
    self.assertCountEqual(initial['loaded'], fine_tuning.BODY)
    self.assertCountEqual(initial['kept'], fine_tuning.HEAD)
    self.assertEqual(self.config('run')['config']['init_from'], str(source))
    for name in fine_tuning.BODY:
      np.testing.assert_array_equal(
          _saved(self.root / 'run', name), _saved(source, name)
      )
    fresh = fine_tuning.make()[1].parameters
    for name in fine_tuning.HEAD:
      change = _saved(self.root / 'run', name) - fresh[name].numpy()
      self.assertGreater(np.abs(change).max(), 0.01)

    with runs.signal_at(5, signal.SIGTERM):
      self.train('stopped', code=128 + signal.SIGTERM, **changes)
    self.train('two', 3, 2, **changes)
    shutil.rmtree(source)
    self.train('stopped', **changes)
    self.assertEqual(
        runs.digest(self.root / 'stopped'), runs.digest(self.root / 'run')
    )
    self.assertEqual(
        runs.rows(self.root / 'stopped'), runs.rows(self.root / 'run')
    )
    one, two = (
        runs.result(self.root / name)['test'] for name in ('run', 'two')
    )
    for name, value in one['values'].items():
      np.testing.assert_allclose(two['values'][name], value, rtol=1e-4)
    for name in ('stopped', 'two'):
      self.assertEqual(self.config(name)['initial'], initial)

    changes |= {'init_from': str(_source()), 'num_steps': 13}
    ended = self.train('run', code=2, **changes)
    self.assertIn('holds a run with other flags: --init_from', ended.err)
    ended = self.train('run', accept_changes=True, **changes)
    self.assertIn('only a new run begins with it', ended.out)
    self.assertEqual(self.config('run')['initial'], initial)

  def test_a_source_that_changes_before_the_first_checkpoint(self):
    source = shutil.copytree(_source(), self.root / 'source')
    with (
        mock.patch.object(
            saving.Saving, '_save', side_effect=ZeroDivisionError
        ),
        self.assertRaises(ZeroDivisionError),
    ):
      self.train('run', 5, init_from=str(source))
    before = self.config('run')
    self.assertEqual(
        before['initial']['sha256'], runs.result(source)['weights_sha256']
    )
    for path in (source / 'checkpoints').glob('ckpt-4.*'):
      path.unlink()
    ended = self.train('run', 5, code=2, init_from=str(source))
    self.assertEqual(ended.out, '')
    self.assertRegex(
        ended.err, 'began with other values than .*/ckpt-2 has now. Name'
    )
    self.assertEqual(self.config('run'), before)
    ended = self.train('run', 5, init_from=str(source), accept_changes=True)
    now = self.config('run')
    self.assertEndsWith(now['initial']['checkpoint'], '/ckpt-2')
    self.assertEqual(
        now['history'][0]['changes'],
        {
            'initial values': [
                before['initial']['sha256'],
                now['initial']['sha256'],
            ]
        },
    )

  def test_what_is_computed_from_data(self):
    """What is loaded wins; what is left out is computed from these data."""
    for shift in (0, 100):
      generator, arrays = np.random.default_rng(shift), {}
      for split, size in fine_tuning.SIZES.items():
        numbers = generator.normal(shift, 3 + shift, [size, 2])
        arrays[f'{split}_numbers'] = numbers
        arrays[f'{split}_label'] = generator.normal(size=[size])
      np.savez(self.root / f'{shift}.npz', **arrays)
    changes = dict(model='tabular', num_steps=1)
    self.train('source', dataset=f'npz:{self.root}/0.npz', **changes)
    self.train(
        'run',
        dataset=f'npz:{self.root}/100.npz',
        init_from=f'{self.root}/source',
        init_pattern='(?!normalization/scale).*',
        **changes,
    )
    center, scale = (
        _saved(self.root / 'run', f'normalization/{name}')
        for name in ('center', 'scale')
    )
    np.testing.assert_array_equal(
        center, _saved(self.root / 'source', 'normalization/center')
    )
    np.testing.assert_allclose(
        scale, 1 / arrays['train_numbers'].std(0), rtol=1e-3
    )
    self.assertIn(
        'differs from that run in target_mean, target_std',
        self.config('run')['initial']['notes'],
    )

  @parameterized.parameters(
      ({'init_pattern': 'a'}, '--init_pattern chooses variables of --init'),
      ({'init_map': {'a': 'b'}}, '--init_map chooses variables of --init'),
      ({'init_from': '{root}/none'}, 'there is no such run or checkpoint'),
      ({'init_from': '{root}'}, 'no checkpoint was saved there'),
      ({'init_from': '{root}/[x'}, r'read files below a name with \['),
      (
          {
              'init_from': '{run}',
              'model': 'convnet',
              'model_arg': {},
              'init_pattern': 'convolutions/0/.*',
          },
          'nothing of it fits. It has hidden.*has convolutions/0/b float32',
      ),
      ({'init_from': '{run}', 'init_pattern': 'output'}, 'no whole name'),
      ({'init_from': '{run}', 'init_map': {'hidn': 'x'}}, 'you mean hidden'),
  )
  def test_a_mistake_is_one_line_and_nothing_is_written(self, changes, message):
    if 'init_from' in changes:
      path = changes['init_from'].format(run=_source(), root=self.root)
      changes = {**changes, 'init_from': path}
    ended = self.train('run', code=2, **changes)
    self.assertEqual(ended.out, '')
    self.assertRegex(ended.err, message)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertEmpty(os.listdir(self.root))


if __name__ == '__main__':
  absltest.main()
