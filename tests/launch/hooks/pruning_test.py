"""Tests of launch.hooks.pruning."""

from __future__ import annotations

import json
import pathlib

from absl.testing import absltest

from launch.hooks import pruning
from tests.launch import runs


class PruningTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def run_of(self, trial, *accuracies, seed=0, is_complete=True, **result):
    path = self.root / 'trials' / trial / f'seed_{seed}'
    path.mkdir(parents=True)
    (path / 'metrics.jsonl').write_text(
        ''.join(
            json.dumps({'step': 5 * step, 'split': split, 'rmse': value}) + '\n'
            for step, value in enumerate(accuracies, 1)
            for split in ('train', 'validation')
        )
    )
    if is_complete:
      (path / 'result.json').write_text(
          json.dumps({
              'num_steps': 10,
              'monitor': 'rmse',
              'direction': 'min',
              **result,
          })
      )
    return str(path)

  def judge(self, own, step, value, least=3):
    return pruning.worse_than_median(
        step, {'rmse': value}, workdir=own, least=least
    )

  def test_the_median_rule(self):
    self.run_of('0000', 4.0, 1.0)
    self.run_of('0001', 3.0, 2.0)
    self.run_of('0002', 2.0, 3.0)
    own = self.run_of('0007', 3.5, 1.5, is_complete=False)
    # These do not count.
    self.run_of('0003', 0.0, 0.0, seed=1)
    self.run_of('0004', 0.0, 0.0, is_complete=False)
    self.run_of(
        '0005',
        0.0,
        0.0,
        stopped={'step': 5, 'hook': 'worse_than_median', 'reason': 'worse'},
    )
    self.run_of('0006', float('nan'), float('nan'))
    self.assertEqual(
        self.judge(own, 5, 3.5),
        'rmse 3.5 is worse than 3, the median of 3 others at step 5',
    )
    self.assertIsNone(self.judge(own, 5, 3.0))
    self.assertIsNone(self.judge(own, 5, 3.5, least=4))
    # The best so far counts: 3.5 at step 5.
    self.assertIn('rmse 3.5', self.judge(own, 10, 9.0))
    self.assertIsNone(self.judge(own, 15, 9.0))


if __name__ == '__main__':
  absltest.main()
