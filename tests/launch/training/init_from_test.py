"""Tests of launch.training.init_from: what is loaded before the first step."""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
from unittest import mock

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    checkpoints,
    distribution,
    layers,
    optimizers,
    variables,
    workers,
)
from launch import config as config_lib
from launch import finished_run, programs
from launch.training import init_from
from tests import virtual_devices
from tests.launch import fine_tuning, runs

_ALL = fine_tuning.BODY | fine_tuning.HEAD


class Normalized(snt.Module):
  """A model with a body in a part of any name, and two heads of one form."""

  def __init__(self, num_classes, body='body'):
    super().__init__()
    setattr(self, body, [snt.Linear(4), layers.BatchNorm()])
    self._body = body
    self.first, self.second = snt.Linear(num_classes), snt.Linear(num_classes)

  def __call__(self, images, is_training):
    linear, norm = getattr(self, self._body)
    x = norm(linear(snt.flatten(images)), is_training)
    return self.first(x) + self.second(x)


_NORMALIZED = {'model': f'{__name__}:Normalized', 'model_arg': {}}
_SOURCES = {
    'plain': {},
    'averaged': {'ema_decay': 0.5, 'precision': 'float16'},
    'normalized': _NORMALIZED,
}


def _slow(learning_rate):
  """An optimizer that keeps a copy of the weights."""
  return optimizers.lookahead(optimizers.sgd(learning_rate), 3, 0.5)


@functools.cache
def _source(name='plain'):
  """Returns the work directory of a run, which is not to change."""
  workdir = fine_tuning.folder() / name
  fine_tuning.write(workdir, **_SOURCES[name])
  return workdir


def _load(*args, **changes):
  """Returns what is loaded, and all variables before and after it."""
  made = fine_tuning.make(*args, **changes)
  before = fine_tuning.weights(made[1])
  initial = init_from.load(*made)
  return initial, before, fine_tuning.weights(made[1])


@functools.cache
def _scored(workdir, checkpoint=None):
  """Returns the weights that a run is scored by."""
  place = config_lib.Config(workdir=str(workdir))
  run = finished_run.load(place, checkpoint, virtual_devices.mirrored(1))
  return {n: v.numpy() for n, v in variables.named(run.model).items()}


class InitFromTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def assert_loaded(self, after, expected, names=_ALL):
    for name in names:
      np.testing.assert_array_equal(after[f'model/{name}'], expected[name])

  def test_nothing_without_the_flag(self):
    initial, before, after = _load()
    self.assertIsNone(initial)
    tf.nest.map_structure(np.testing.assert_array_equal, before, after)

  @parameterized.parameters(1, 2)
  def test_the_same_head(self, num_replicas):
    made = fine_tuning.make(5, num_replicas, init_from=str(_source()))
    initial = init_from.load(*made)
    state = made[1]
    self.assert_loaded(fine_tuning.weights(state), _scored(_source()))
    # It is the hash of weights that result.json has.
    self.assertEqual(
        initial.sha256,
        variables.digest(variables.named({'model': state.model})),
    )
    self.assertCountEqual(initial.loaded, _ALL)
    self.assertEqual((initial.kept, initial.unused), ({}, ()))
    self.assertEmpty(distribution.unequal_replicas(state.named_variables()))
    self.assertEqual(state.step.numpy(), 0)
    self.assertEqual(
        initial.lines(),
        [
            (
                '--init_from: 4 of 4 variables begin with their values in '
                f'{_source()}/checkpoints/ckpt-4'
            ),
        ],
    )

  def test_another_head_is_said(self):
    initial, before, after = _load(3, init_from=str(_source()))
    self.assert_loaded(after, _scored(_source()), fine_tuning.BODY)
    for name in fine_tuning.HEAD:
      np.testing.assert_array_equal(
          before[f'model/{name}'], after[f'model/{name}']
      )
    self.assertCountEqual(initial.loaded, fine_tuning.BODY)
    self.assertEqual(
        initial.lines(),
        [
            (
                '--init_from: 2 of 4 variables begin with their values in '
                f'{_source()}/checkpoints/ckpt-4'
            ),
            (
                '  output/linear/b keeps its initial values: it is float32 [3]'
                ' here, float32 [5] there'
            ),
            (
                '  output/linear/w keeps its initial values: it is float32 [8,'
                ' 3] here, float32 [8, 5] there'
            ),
            '  differs from that run in label.class_names',
        ],
    )

  def test_a_pattern(self):
    initial, before, after = _load(
        5, init_from=str(_source()), init_pattern='.*/w'
    )
    taken = {name for name in _ALL if name.endswith('w')}
    self.assertCountEqual(initial.loaded, taken)
    self.assert_loaded(after, _scored(_source()), taken)
    self.assertIn('  --init_pattern leaves out 2 variables', initial.lines())
    self.assertEqual((initial.kept, initial.unused), ({}, ()))
    for name in _ALL - taken:
      np.testing.assert_array_equal(
          before[f'model/{name}'], after[f'model/{name}']
      )

  def test_another_model(self):
    """Its body has another name, and both heads begin with the same."""
    source = _scored(_source('normalized'))
    changes = {
        **_NORMALIZED,
        'model_arg': {'body': 'trunk'},
        'init_from': str(_source('normalized')),
    }
    with self.assertRaisesRegex(
        programs.UserError, 'nothing of it fits.*--init_map=trunk=body'
    ):
      _load(5, init_pattern='trunk.*', **changes)
    initial, _, after = _load(
        5, init_map={'trunk': 'body', 'second': 'first'}, **changes
    )
    names = {
        f'model/{new}': new.replace('trunk', 'body').replace('second', 'first')
        for new in initial.loaded
    }
    self.assertIn('model/trunk/1/moving_mean', names)
    for new, old in names.items():
      np.testing.assert_array_equal(after[new], source[old])
    self.assertEqual(initial.kept, {})
    self.assertEqual(initial.unused, ('second/b', 'second/w'))
    self.assertEqual(
        initial.lines()[1:],
        [
            '  not used: second/b, second/w',
            '  differs from that run in --model_arg',
        ],
    )
    changes['model'] = Normalized  # The object itself is no other model.
    initial, _, _ = _load(5, **changes)
    self.assertIn('  differs from that run in --model_arg', initial.lines())

  def test_averages_are_what_is_taken(self):
    """Of a run in float16, whose checkpoint has the last weights as well."""
    initial, _, after = _load(5, init_from=str(_source('averaged')))
    self.assert_loaded(after, _scored(_source('averaged')))
    self.assertIn(
        '  the values are averages of weights, as that run scores them',
        initial.lines(),
    )

  @parameterized.parameters(1, 2)
  def test_averages_and_slow_weights_begin_with_it(self, num_replicas):
    _, before, after = _load(
        5,
        num_replicas,
        init_from=str(_source()),
        ema_decay=0.9,
        optimizer=f'{__name__}:_slow',
    )
    self.assertEqual(before.keys(), after.keys())
    copies = [
        (path, name)
        for name in _ALL
        for path in after
        if path.endswith(f'/{name}') and not path.startswith('model/')
    ]
    self.assertLen(copies, 2 * len(_ALL))
    for path, name in copies:
      np.testing.assert_array_equal(after[path], _scored(_source())[name])

  @parameterized.parameters(
      ('checkpoints', 'last', 4),
      ('checkpoints/best', 'best', 1),
      ('checkpoints/ckpt-2', '{}/checkpoints/ckpt-2', 2),
  )
  def test_which_checkpoint(self, path, checkpoint, step):
    workdir = _source()
    initial, _, after = _load(5, init_from=f'{workdir}/{path}')
    self.assertEndsWith(initial.checkpoint, f'/ckpt-{step}')
    self.assert_loaded(after, _scored(workdir, checkpoint.format(workdir)))

  def test_a_model_that_a_program_saved(self):
    _, state, _ = fine_tuning.make(5)
    for variable in state.parameters.values():
      variable.assign(tf.ones_like(variable))
    saved = checkpoints.Checkpointer(str(self.root), state.parameters).save(7)
    initial, _, after = _load(5, init_from=saved)
    self.assertCountEqual(initial.loaded, _ALL)
    self.assertEqual(after['model/output/linear/w'].min(), 1)

  def test_a_damaged_checkpoint(self):
    """The one before is taken, which is said; one that is named is refused."""
    workdir = shutil.copytree(_source(), self.root / 'run')
    os.truncate(workdir / 'checkpoints/ckpt-4.index', 50)
    initial, _, after = _load(5, init_from=str(workdir))
    self.assertEndsWith(initial.checkpoint, '/ckpt-2')
    self.assertRegex('\n'.join(initial.lines()), 'ckpt-4: cannot be read')
    self.assert_loaded(
        after, _scored(_source(), f'{_source()}/checkpoints/ckpt-2')
    )
    path = f'{workdir}/checkpoints/ckpt-4'
    with self.assertRaisesRegex(
        programs.UserError, f'--init_from={path}: {path}: cannot be read'
    ):
      _load(5, init_from=path)
    [data] = (workdir / 'checkpoints').glob('ckpt-2.data*')
    os.truncate(data, data.stat().st_size // 4)
    with self.assertRaisesRegex(
        programs.UserError, 'no checkpoint can be read: ckpt-4, ckpt-2'
    ):
      _load(5, init_from=str(workdir))

  def test_a_worker_that_reads_another(self):
    with (
        mock.patch.object(workers, 'texts', lambda _, text: [text, text[::-1]]),
        self.assertRaisesRegex(programs.UserError, 'need one shared directory'),
    ):
      _load(5, init_from=str(_source()))

  @parameterized.parameters('a', 'a=a', 'a=b,a=c', '=')
  def test_a_map_that_is_none(self, text):
    ended, _ = runs.parsed('--workdir=x', f'--init_map={text}')
    self.assertEqual(ended.code, 2)
    self.assertIn('expected NEW=OLD', ended.err)

  def test_a_map(self):
    _, config = runs.parsed(
        '--workdir=x', '--init_from=y', '--init_map=a/=b/,c='
    )
    self.assertEqual(config.init_map, {'a/': 'b/', 'c': ''})


if __name__ == '__main__':
  absltest.main()
