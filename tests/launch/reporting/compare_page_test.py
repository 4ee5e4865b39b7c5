"""Tests of the page that compares runs."""

from __future__ import annotations

import functools
import pathlib
import shutil

from absl.testing import absltest

from tests.launch import runs
from tests.launch.reporting import reading


@functools.cache
def _short():
  """Returns a run that is worse than `runs.finished`."""
  workdir = pathlib.Path(runs.kept_directory()) / 'short <i>'
  ended = runs.train(workdir, num_steps=2, learning_rate=1e-4)
  if ended.code:
    raise AssertionError(ended)
  return workdir


class SeveralRunsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.output = self.root / 'new' / 'compare.html'

  def compare(self, *paths):
    ended = runs.call('report', f'--output={self.output}', *map(str, paths))
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn(f'{len(paths)} runs; {self.output}', ended.out)
    return reading.read(self.output)

  def test_two_runs(self):
    best, worse = runs.finished(), _short()
    found = self.compare(worse, best)
    results = [runs.result(path) for path in (worse, best)]
    for name in ('test_loss', 'test_accuracy'):
      split, value = name.split('_')
      low, high = (f'{result[name]:.4f}' for result in results)
      self.assertIn(
          f'<td>{split} {value}</td><td class="n">{low}</td>'
          f'<td class="n best">{high}</td>',
          found.raw,
      )
    self.assertIn('--learning_rate 0.0001 0.003', found.text)
    self.assertIn('--num_steps 2 -', found.text)
    self.assertNotIn('--seed', found.text)
    self.assertNotIn('--workdir', found.text)
    self.assertIn('parameters 3,156 3,156', found.text)
    self.assertIn('end complete complete', ' '.join(found.text.split()))
    self.assertLen(found.named, 6)  # Five links, and one plot.

  def test_many_runs_and_one_that_is_not_complete(self):
    other = self.root / 'other'
    shutil.copytree(runs.finished(), other)
    (other / 'result.json').unlink()
    paths = []
    for index in range(6):
      paths.append(self.root / f'run{index}')
      shutil.copytree(runs.finished(), paths[-1])
    found = self.compare(*paths, other)
    self.assertIn('None.', found.text)
    self.assertIn('not complete, at step 40', found.text)
    self.assertRegex(found.text, r'run test loss .* run0 ')
    # Equal ones are all the best.
    accuracy = runs.result(runs.finished())['test_accuracy']
    marked = found.raw.count(f'<td class="n best">{accuracy:.4f}</td>')
    self.assertGreater(marked, 0)
    self.assertEqual(marked % 6, 0)


if __name__ == '__main__':
  absltest.main()
