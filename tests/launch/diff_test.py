"""Tests of launch.diff and of what it is made of.

Covers: comparing.runs, comparing.differences.
"""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from launch import workdir
from launch.comparing import runs as comparing
from tests.launch import runs

_HASHED = dict(hash_every_steps=5, jit_compile='off')


class _TestCase(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def copy(self, name='other'):
    return shutil.copytree(runs.finished(), self.root / name)

  def edit(self, path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))

  def diff(self, other, code, one=None):
    ended = runs.call('diff', str(one or runs.finished()), str(other))
    self.assertEqual((ended.code, ended.err), (code, ''))
    return ended.out


class DiffTest(_TestCase):

  def test_equal(self):
    num_rows = len(runs.rows(runs.finished()))
    self.assertEqual(
        self.diff(self.copy(), 0),
        f'equal: {num_rows} rows and 1 hashes of weights agree to the bit\n',
    )

  @parameterized.parameters(
      (
          lambda v: v['config'].update(learning_rate=0.5),
          ('flag, decides the weights', '--learning_rate', '0.003', '0.5'),
      ),
      (
          lambda v: v['config'].update(keep_checkpoints=7),
          ('flag, may change', '--keep_checkpoints', '3', '7'),
      ),
      (
          lambda v: v['config'].update(num_epochs=9),
          ('flag, decides the length', '--num_epochs', '2', '9'),
      ),
      (
          lambda v: v['program'].update(strategy='one_device'),
          ('flag, where', '--strategy', 'mirrored', 'one_device'),
      ),
      (lambda v: v['program'].update(workdir='elsewhere'), ()),
      (
          lambda v: v['code'].update(
              {'a.py': {'path': '/a.py', 'sha256': '12'}}
          ),
          ('code', 'a.py', 'null', '12'),
      ),
      (
          lambda v: v['environment']['packages'].update(numpy='0.1'),
          ('environment', 'packages.numpy', '0.1'),
      ),
      (
          lambda v: v['environment']['variables'].update(XLA_FLAGS='--x'),
          ('environment', 'variables.XLA_FLAGS', '--x'),
      ),
      (
          lambda v: v['data']['num_examples'].update(test=9),
          ('data', 'num_examples'),
      ),
      (
          lambda v: v.update(initial={'sha256': 'ab'}),
          ('init_from', 'sha256', 'null', 'ab'),
      ),
      (
          lambda v: v.update(
              shapes=[{'step': 3, 'num_workers': 2, 'num_replicas': 4}]
          ),
          ('where', 'replicas', '4 on 2 worker(s) from step 3'),
      ),
      (
          lambda v: v['history'].append(
              {'step': 7, 'changes': {'seed': [1, 2]}}
          ),
          ('history', 'changes', 'no change', 'step 7: seed 2, not 1'),
      ),
  )
  def test_what_the_runs_are_makes_them_not_different(self, change, cells):
    other = self.copy()
    self.edit(other / 'config.json', change)
    lines = self.diff(other, 0).splitlines()
    self.assertLen(lines, 4 if cells else 1)
    for cell in cells:
      self.assertIn(f'{cell} ', f'{lines[2]} ')
    self.assertStartsWith(lines[-1], 'equal: ')

  def test_code_that_was_moved_is_the_same(self):
    others = self.copy('one'), self.copy('other')
    for path, name in zip(others, ('a.py', '/x/b.py')):
      self.edit(
          path / 'config.json',
          lambda v, name=name: (
              v['config'].update(loss=f'{name}:loss'),
              v['code'].update({name: {'path': name, 'sha256': '12'}}),
          ),
      )
    self.assertStartsWith(self.diff(others[1], 0, others[0]), 'equal: ')

  def test_the_first_example_that_differs(self):
    other = self.copy()
    self.edit(
        other / 'config.json',
        lambda v: v['data']['fingerprint'].update(test='ab'),
    )
    with np.load(other / 'examples.npz') as kept:
      arrays = dict(kept)
    arrays['test'][5] += 1
    np.savez(other / 'examples.npz', **arrays)
    out = self.diff(other, 0)
    self.assertRegex(out, r'data +fingerprint\.test .* ab\n')
    self.assertIn('example 5 of test', out)

  def test_the_first_row_that_differs(self):
    other = self.copy()
    path = other / 'metrics.jsonl'
    rows = runs.raw_rows(other)
    places = [i for i, row in enumerate(rows) if row['step'] == 20]
    self.assertLen(places, 2)
    before = rows[places[0]]['loss']
    for place in (places[0], -1):
      rows[place]['loss'] *= 1.25
      rows[place]['wall_time'] += 1
      rows[place]['examples_per_second'] = 7
    path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    out = self.diff(other, 1)
    loss = rows[places[0]]['loss']
    self.assertIn(f' {before} ', out)
    last = out.splitlines()[-1]
    self.assertRegex(
        last,
        'they differ, .* first in step 20, train: loss .*'
        f' and {loss}; by at most 0.2 of a value, loss at step ',
    )

  @parameterized.parameters(
      (lambda v: v.update(weights_sha256='ab'), 'weights_sha256'),
      (
          lambda v: v['test']['values'].update(accuracy=2.0),
          'test.values.accuracy',
      ),
      (
          lambda v: v['test']['confusion_matrix'][1].append(0),
          'test.confusion_matrix',
      ),
      (lambda v: v.update(num_steps=41), 'num_steps'),
  )
  def test_results_that_differ(self, change, name):
    other = self.copy()
    self.edit(other / 'result.json', change)
    self.assertIn(f'first in result: {name} ', self.diff(other, 1))

  def test_not_complete(self):
    other = self.copy()
    (other / 'result.json').unlink()
    self.assertIn(
        'first in result: end complete at step 40 and not complete, at step 40',
        self.diff(other, 1),
    )
    (other / 'metrics.jsonl').unlink()
    self.assertIn('step 40 and not complete, at step 0', self.diff(other, 1))
    empty = shutil.copytree(other, self.root / 'empty')
    self.assertIn('not known: the runs have no row', self.diff(other, 1, empty))

  @parameterized.parameters(
      ((), 'expected the work directories of two runs, got 0'),
      (('a',), 'got 1'),
      (('/nowhere', '/nowhere'), ': /nowhere: there is no run'),
      (('a', 'b', '--elsewhere=c'), "Unknown command line flag 'elsewhere'"),
  )
  def test_mistakes(self, arguments, message):
    ended = runs.call('diff', *arguments)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)

  def test_one_without_rows(self):
    other = self.copy()
    (other / 'metrics.jsonl').unlink()
    ended = runs.call('diff', str(runs.finished()), str(other))
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEndsWith(
        ended.out,
        'equal: 0 rows and 1 hashes of weights agree to the bit; '
        f'{other} has no rows\n',
    )

  def test_damaged(self):
    other = self.copy()
    self.edit(other / 'config.json', lambda v: v.update(history=[{'step': 1}]))
    ended = runs.call('diff', str(other), str(other))
    self.assertEqual(ended.code, 2)
    self.assertIn('its history is', ended.err)


class HashTest(_TestCase):

  def train(self, name, code=0, **changes):
    ended = runs.train(self.root / name, **{**_HASHED, **changes})
    self.assertEqual(ended.code, code, ended.err)
    return self.root / name

  @pytest.mark.medium
  def test_rows_have_hashes(self):
    """At those steps, of the weights there, also of a run that was stopped."""
    one = self.train('one', num_steps=23)
    found = {
        row['step']: row.get('weights_sha256')
        for row in runs.rows(one, 'train')
    }
    self.assertEqual(list(found), [5, 7, 10, 14, 15, 20, 21, 23])
    hashed = [step for step, digest in found.items() if digest]
    self.assertEqual(hashed, [5, 10, 15, 20, 23])
    self.assertLen(set(found.values()), 6)
    self.assertEqual(found[23], runs.digest(one))
    two = self.root / 'two'
    with runs.signal_at(12, 15):
      self.train('two', code=143, num_steps=23)
    self.train('two', num_steps=23)
    self.assertEqual(runs.rows(two), runs.rows(one))
    out = self.diff(two, 0, one)
    self.assertEqual(
        out, 'equal: 10 rows and 6 hashes of weights agree to the bit\n'
    )
    # A period may be another: the hashes are compared all the same.
    other = self.train(
        'other', num_steps=23, log_every_steps=100, hash_every_steps=10
    )
    comparison = comparing.compare(
        workdir.Workdir(str(one)), workdir.Workdir(str(other))
    )
    self.assertEqual(comparison.computed, [])
    self.assertGreaterEqual(comparison.num_hashes, 3)

  @pytest.mark.slow
  def test_the_first_step_that_differs(self):
    one = self.train('one', num_steps=12)
    two = self.train('two', num_steps=12, clip_global_norm=1e-3)
    out = self.diff(two, 1, one)
    self.assertIn('--clip_global_norm', out)
    self.assertRegex(out, r'they differ, .* first in step 5, train: ')
    self.assertIn('weights_sha256', out)


if __name__ == '__main__':
  absltest.main()
