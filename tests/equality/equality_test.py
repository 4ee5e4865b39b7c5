"""Tests of the program that trains the same on several shapes.

Covers: cases, measuring, running, table.
"""

from __future__ import annotations

import itertools
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from launch.comparing import differences
from tests.equality import cases, measuring, table
from tests.faults import processes


def _scratch(test):
  folder = tempfile.TemporaryDirectory()
  test.addCleanup(folder.cleanup)
  return pathlib.Path(folder.name)


def _gap(numbers=1e-7, weights=2e-7, counts=()):
  return measuring.Gap(
      numbers, 'loss at step 3, train', weights, 'model/w', tuple(counts)
  )


def _rows(**changes):
  """Returns a row for each case; the gap on 3x1 is another."""
  return [
      table.Row(
          case,
          {
              shape.name: _gap(**changes if shape.name == '3x1' else {})
              for shape in cases.SHAPES[1:]
          },
          {f'{a.name} to {b.name}': _gap() for a, b in case.pairs},
          {name: _gap(0.5) for name in case.variants},
      )
      for case in cases.CASES.values()
  ]


class CasesTest(absltest.TestCase):

  def test_every_ordered_pair_goes_on(self):
    wanted = {*itertools.permutations(cases.SHAPES, 2)}
    self.assertEqual({*cases.CASES['mlp'].pairs}, wanted)
    others = [c for name, c in cases.CASES.items() if name != 'mlp']
    self.assertEqual({p for c in others for p in c.pairs}, wanted)
    for case in others:
      self.assertEqual({first for first, _ in case.pairs}, {*cases.SHAPES})
      self.assertEqual({then for _, then in case.pairs}, {*cases.SHAPES})


class MeasuringTest(absltest.TestCase):

  def test_numbers_and_counts_are_told_apart(self):
    def found(name, one, other):
      return differences.Difference('step 2, train', name, (one, other))

    numbers, counts = measuring.of_values([
        found('loss', 1.0, 1.5),
        found('accuracy', 0.0, -0.25),
        found('learning_rate', 2.0, 2.0 + 1e-9),
        found('num_examples', 3, 4),
        found('test.confusion_matrix', [[1]], [[0]]),
        found('f1', 0.5, None),
        found('best.checkpoint', 'a', 'b'),
        found('weights_sha256', 'a', 'b'),
    ])
    self.assertEqual(numbers, (1.0, 'accuracy at step 2, train'))
    self.assertEqual(
        counts,
        (
            'num_examples at step 2, train',
            'test.confusion_matrix at step 2, train',
            'f1 at step 2, train',
        ),
    )
    self.assertEqual(measuring.of_values([]), ((0.0, ''), ()))

  def test_arrays(self):
    one = {'a': np.array([4.0, 0.5]), 'b': np.zeros([2]), 'c': np.zeros([0])}
    self.assertEqual(measuring.of_arrays(one, one), (0.0, ''))
    other = {**one, 'a': np.array([4.0, 0.25])}
    self.assertEqual(measuring.of_arrays(one, other), (0.0625, 'a'))
    other = {**other, 'b': np.array([0, 1e-9])}
    self.assertEqual(measuring.of_arrays(one, other), (np.inf, 'b'))
    with self.assertRaisesRegex(ValueError, r"\['b', 'c'\]"):
      measuring.of_arrays(one, {'a': one['a']})


class TableTest(parameterized.TestCase):

  @parameterized.parameters(
      ({'numbers': 1.1e-5}, 5, 'mlp, 3x1: loss at step 3, train: 1.1e-05'),
      ({'numbers': float('nan')}, 6, 'mlp, 3x1: loss at step 3, train: nan'),
      ({'weights': 1.1e-4}, 5, 'mlp, 3x1: model/w: 1.1e-04, beyond 1.0e-04'),
      ({'weights': 1.0}, 6, 'mlp, 3x1: model/w: 1.0e+00'),
      ({'counts': ['step']}, 6, 'mlp, 3x1: step'),
  )
  def test_problems(self, changes, number, first):
    found = table.problems(_rows(**changes))
    self.assertLen(found, number)
    self.assertStartsWith(found[0], first)

  def test_it_is_written_between_its_marks(self):
    self.assertEmpty(table.problems(_rows()))
    page = _scratch(self) / 'page.md'
    page.write_text(table.DOCS.read_text())
    table.write(_rows(weights=3e-7, counts=['step']), page)
    once = page.read_text()
    self.assertIn(
        '| 1.0e-07, 2.0e-07 | 1.0e-07, 3.0e-07 | 1.0e-07, 2.0e-07 (20 runs) '
        '| 1.0e-05, 1.0e-04 |',
        once,
    )
    self.assertIn('Counts differ in 6 of them.', once)
    self.assertIn('| float16, float32 | 5.0e-01 | 2.0e-07 |', once)
    table.write(_rows(weights=3e-7, counts=['step']), page)
    self.assertEqual(page.read_text(), once)


class ProgramTest(absltest.TestCase):

  def run_program(self, *flags):
    return subprocess.run(
        [sys.executable, '-m', 'tests.equality', *flags],
        cwd=processes.ROOT,
        capture_output=True,
        text=True,
    )

  @pytest.mark.medium
  def test_two_replicas_give_what_one_gives(self):
    """The quickest case; a second start makes no run again."""
    workdir = _scratch(self)
    flags = [f'--workdir={workdir}', '--cases=text', '--shapes=1x1,1x2']
    done = self.run_program(*flags)
    self.assertEqual((done.returncode, done.stderr), (0, ''), done.stdout)
    lines = done.stdout.splitlines()
    # None of the pairs of this case is of these two shapes.
    self.assertLen(lines, 2, done.stdout)
    self.assertRegex(lines[0], r'^text, 1x2: \d.*weights .*counts: equal$')
    made = {
        path: path.stat().st_mtime_ns
        for path in workdir.glob('text/*/run/result.json')
    }
    self.assertLen(made, 2)
    again = self.run_program(*flags)
    self.assertEqual(again.stdout, done.stdout, again.stderr)
    for path, when in made.items():
      self.assertEqual(path.stat().st_mtime_ns, when)

  def test_mistakes(self):
    for flags in (['--cases=none'], ['--cases=text', '--write_docs']):
      done = self.run_program(*flags)
      self.assertEqual(done.returncode, 2)
      self.assertEqual(done.stderr.count('\n'), 1)

  @pytest.mark.slow
  def test_all(self):
    done = self.run_program()
    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == '__main__':
  absltest.main()
