"""Tests of the program that hurts programs.

Covers: cases, comparing, moments, record, table, watching.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import pytest
from absl.testing import absltest, parameterized

from tests.faults import (
    cases,
    comparing,
    faults,
    moments,
    planning,
    processes,
    record,
    table,
    trial,
    watching,
)


def _scratch(test):
  folder = tempfile.TemporaryDirectory()
  test.addCleanup(folder.cleanup)
  return folder.name


def _outcome(number=0, bits=0, problems=(), **changes):
  hurt = trial.Hurt(**{
      'fault': 'SIGKILL',
      'phase': 'training',
      'codes': [-9],
      'saw': '',
      'seconds': 0.5,
      **changes,
  })
  return trial.Outcome(
      number, '0-abc', 'text.plain', [hurt], bits, list(problems), 9.0, 'abc'
  )


class PlanTest(absltest.TestCase):

  def plan(self, seed, number=400, names=None):
    return list(
        itertools.islice(
            planning.plan(
                seed, names or list(faults.FAULTS), list(cases.CASES.values())
            ),
            number,
        )
    )

  def test_it_is_that_of_the_seed_and_reaches_everything(self):
    plan = self.plan(3)
    self.assertEqual(plan, self.plan(3))
    self.assertNotEqual(plan, self.plan(4))
    self.assertEqual([number for number, *_ in plan], list(range(len(plan))))
    self.assertEqual({name for _, name, _ in plan}, faults.FAULTS.keys())
    self.assertEqual(
        {case.name for _, name, case in plan if name == 'kill'},
        cases.CASES.keys(),
    )
    for _, name, case in plan:
      self.assertTrue(faults.FAULTS[name].allows(case))

  def test_it_ends_where_nothing_can_be_done(self):
    workers = [c for c in cases.CASES.values() if c.num_workers > 1]
    self.assertEmpty(list(planning.plan(0, ['damage', 'disk'], workers)))


class ComparingTest(parameterized.TestCase):

  @parameterized.parameters(
      ({'loss': 1.0}, {'loss': 1.0}, 0),
      ({'loss': 1.0}, {'loss': -1.0}, 1),
      ({'loss': 1.0, 'wall_time': 3}, {'loss': 1.0, 'wall_time': 4}, 0),
      ([1, {'test': [0.5]}], [1, {'test': [-0.5]}], 1),
      ([{'loss': float('nan')}], [{'loss': float('nan')}], 0),
      ({'a': {'path': '/b', 'c': 2.0}}, {'a': {'path': '/d', 'c': -2.0}}, 1),
      (b'\x00\x07', b'\x01\x00', 4),
      ('one', 'one', 0),
  )
  def test_bits(self, one, other, expected):
    found = comparing.Differences()
    found.add('here', one, other)
    self.assertEqual(found.bits, expected)
    self.assertEqual(found.where, [f'here: {expected} bits'] * (expected > 0))

  def test_runs(self):
    """A bit of the newest checkpoint, a row, and the result."""
    folder = pathlib.Path(_scratch(self))
    for name, newest, rows, digest in (
        ('one', b'\x10', 2, 'ab'),
        ('other', b'\x30', 1, 'cd'),
    ):
      run = folder / name
      (run / 'checkpoints').mkdir(parents=True)
      for step, content in ((4, name.encode()), (12, newest)):
        stem = run / 'checkpoints' / f'ckpt-{step}'
        stem.with_suffix('.index').touch()
        stem.with_suffix('.data-0-of-1').write_bytes(content)
      (run / 'metrics.jsonl').write_text('{"step": 1, "loss": 2.0}\n' * rows)
      (run / 'result.json').write_text(
          json.dumps({'weights_sha256': digest, 'seconds': rows})
      )
    one, other = folder / 'one', folder / 'other'
    self.assertEmpty(comparing.runs(one, one).where)
    found = comparing.runs(one, other)
    self.assertEqual(
        [where.partition(':')[0] for where in found.where],
        [
            'checkpoints/ckpt-12.data-0-of-1',
            'metrics.jsonl',
            'result.json, weights_sha256',
        ],
    )
    self.assertEqual(found.where[0].partition(': ')[2], '1 bits')
    (other / 'result.json').unlink()
    self.assertGreater(comparing.runs(one, other).bits, 0)


class WatchingTest(absltest.TestCase):

  def test_a_program_is_stopped_where_its_files_say(self):
    """One that makes a file again and again, and soon removes it."""
    folder = pathlib.Path(_scratch(self))
    (folder / 'logs').mkdir()
    program = folder / 'busy.py'
    program.write_text(
        'import os, time\n'
        f'folder = {str(folder)!r}\n'
        'open(folder + "/begun", "w").close()\n'
        'for number in range(3000):\n'
        '  path = f"{folder}/file-{number}.tmp"\n'
        '  open(path, "w").close()\n'
        '  time.sleep(0.001)\n'
        '  os.remove(path)\n'
        '  time.sleep(0.01)\n'
    )
    group = processes.Group(
        ['busy'], {'PYTHONPATH': str(folder)}, folder / 'logs' / 'log'
    )
    try:
      watch = watching.Watch(folder, group, ('logs', '__pycache__'))
      is_there = lambda seen: 'file-N.tmp' in map(watching.pattern, seen.files)
      self.assertTrue(watch.until(lambda seen: 'begun' in seen.files))
      self.assertTrue(watch.step(is_there))
      before = watch.files
      for _ in range(20):
        watch.look()
      self.assertEqual(watch.files, before)
    finally:
      group.end()
    self.assertEqual(group.codes, [-9])

  def test_moments_are_drawn_by_the_seed(self):
    def drawn(seed):
      generator = random.Random(seed)
      return [moments.Moment.draw(generator, 'train') for _ in range(50)]

    self.assertEqual(drawn(1), drawn(1))
    self.assertNotEqual(drawn(1), drawn(2))
    self.assertLen({moment.kind for moment in drawn(1)}, 3)

  def test_phases(self):
    usual = {'run/config.json', 'run/checkpoints/ckpt-N.index', 'run/lock'}

    def phase(*names, old=()):
      new = {f'run/{name}': (0, 0) for name in names}
      files = {**new, **{f'run/{name}': (0, 0) for name in old}}
      return moments.phase('train', files, new, usual, 'ckpt-9')

    self.assertEqual(phase(), 'starting, preparing')
    self.assertEqual(phase('lock', old=['config.json']), 'starting again')
    self.assertEqual(phase('config.json'), 'before the first checkpoint')
    self.assertEqual(
        phase('config.json', 'checkpoints/ckpt-4.index'), 'training'
    )
    self.assertEqual(
        phase('config.json', 'checkpoints/ckpt-9.index'), 'the final test'
    )
    self.assertEqual(
        phase('config.json', 'checkpoints/unfinished/'),
        'a checkpoint half-written',
    )
    self.assertEqual(
        phase('config.json', 'checkpoints/checkpoint.tmp'),
        'the list half-written',
    )


class TableTest(absltest.TestCase):

  def test_what_is_alike_is_a_line(self):
    outcomes = [
        _outcome(0),
        _outcome(1, seconds=2.5, saw='no step N'),
        _outcome(2, seconds=1.0, saw='no step N'),
        _outcome(
            3,
            bits=7,
            problems=['metrics.jsonl: 7 bits'],
            fault='disk full',
            codes=[1],
        ),
    ]
    self.assertEqual(
        table.rows(outcomes),
        [
            ('SIGKILL', 'training', '3', 'no step N', '-9', '1.0, 2.5', '0'),
            ('disk full', 'training', '1', 'nothing', '1', '0.5, 0.5', '7'),
        ],
    )
    text = table.text(outcomes)
    self.assertIn('4 faults in 4 runs of 1 kinds; 7 bits lost; 1 run', text)
    self.assertIn('trial 3, text.plain: metrics.jsonl: 7 bits', text)

  def test_it_is_written_between_its_marks(self):
    page = pathlib.Path(_scratch(self)) / 'page.md'
    page.write_text(table.DOCS.read_text())
    table.write([_outcome()], page)
    once = page.read_text()
    self.assertIn('| SIGKILL | training | 1 | nothing |', once)
    table.write([_outcome()], page)
    self.assertEqual(page.read_text(), once)

  def test_lines_are_general(self):
    self.assertEqual(
        trial.general('launch.train: --workdir=/tmp/a-1/run: step 20 of 40'),
        'launch.train: --workdir=PATH: step N of N',
    )


class CampaignTest(absltest.TestCase):

  def run_program(self, workdir, *flags):
    return subprocess.run(
        [sys.executable, '-m', 'tests.faults', f'--workdir={workdir}', *flags],
        cwd=processes.ROOT,
        capture_output=True,
        text=True,
    )

  @pytest.mark.medium
  def test_three_faults_lose_nothing(self):
    workdir = pathlib.Path(_scratch(self))
    flags = ['--seed=1', '--cases=multi_label.plain', '--faults=kill']
    done = self.run_program(workdir, *flags, '--num_kills=3')
    self.assertEqual((done.returncode, done.stderr), (0, ''), done.stdout)
    kept = workdir / 'trials.jsonl'
    self.assertGreaterEqual(record.Record(kept).num_faults, 3)
    self.assertIn(' 0 bits lost; 0 runs', done.stdout)
    self.assertEmpty(list((workdir / 'trials').iterdir()))
    # What is kept is not done again; what was lost ends with exit code 1.
    with open(kept, 'a') as file:
      file.write(json.dumps(_outcome(99, bits=5).to_json()) + '\n{"numb')
    again = self.run_program(workdir, *flags, '--num_kills=3')
    self.assertEqual(again.returncode, 1, again.stderr)
    self.assertIn(' 5 bits lost; 0 runs', again.stdout)

  def test_nothing_stays_on_when_it_is_ended(self):
    workdir = _scratch(self)
    campaign = subprocess.Popen(
        [sys.executable, '-m', 'tests.faults', f'--workdir={workdir}'],
        cwd=processes.ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )

    def programs():
      found = []
      for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
        with contextlib.suppress(OSError):
          found += [path] * (f'{workdir}/' in path.read_text())
      return found

    while not programs() and campaign.poll() is None:
      time.sleep(0.01)
    campaign.terminate()
    self.assertEqual(campaign.communicate(timeout=60), (None, ''))
    self.assertEqual(campaign.returncode, 128 + signal.SIGTERM)
    self.assertEmpty(programs())

  def test_what_there_is_not(self):
    done = self.run_program(_scratch(self), '--faults=flood')
    self.assertEqual(done.returncode, 2)
    self.assertEqual(done.stderr.count('\n'), 1)

  @pytest.mark.slow
  def test_thirty_faults_lose_nothing(self):
    done = self.run_program(_scratch(self), '--seed=2', '--num_kills=30')
    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == '__main__':
  absltest.main()
