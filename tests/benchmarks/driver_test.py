"""Smoke runs of the driver, and how it takes failures."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
from absl.testing import absltest

from tests.benchmarks import cases, environments, lineup, report, results_test

# Stands in for a Python: one contender answers, one fails, one hangs.
_FAKE = """#!/bin/sh
case "$*" in
  *notebook*) echo noise; echo '{"images_per_second": [8.0, 9.0],
    "accuracy": 0.5, "end_s": 1.5}' | tr -d '\\n' ;;
  *keras_fit*) echo 'Traceback' >&2; echo 'Error: lost' >&2; exit 3 ;;
  *) sleep 600 & wait ;;
esac
"""


class DriverTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(results_test.scratch(self))
    self.out = self.folder / 'results.json'

  def _drive(self, *arguments: str) -> tuple[int, str]:
    ended = subprocess.run(
        [
            sys.executable,
            '-m',
            'tests.benchmarks',
            '--synthetic',
            f'--folder={self.folder}',
            f'--out={self.out}',
            *arguments,
        ],
        cwd=environments.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return ended.returncode, ended.stdout

  def _runs(self) -> list[dict]:
    return json.loads(self.out.read_text())['runs']

  def _check(self, runs: list[dict]) -> None:
    """Checks that contenders trained the same network, and learned."""
    trained = [run for run in runs if run['contender'] != 'products']
    for case in {run['case'] for run in trained}:
      same = [run for run in trained if run['case'] == case]
      self.assertLen({run['num_parameters'] for run in same}, 1, case)
      for run in same:
        with self.subTest(f'{case} {run["contender"]}'):
          num_epochs = len(run['epoch_seconds'])
          warm = cases.CASES[case].num_warmup_epochs
          self.assertLen(run['images_per_second'], num_epochs - warm)
          self.assertLess(run['loss'][-1], run['loss'][0])
          self.assertGreater(run['accuracy'], 0.2)
          self.assertBetween(run['first_epoch_s'], 0.2, run['end_s'])
          if run['first_step_s'] is not None:
            self.assertLess(run['first_step_s'], run['first_epoch_s'])
          self.assertBetween(run['peak_rss_gb'], 0.1, 20)

  @pytest.mark.medium
  def test_a_race_of_those_that_this_environment_can_run(self):
    names = [
        'notebook',
        'keras_tf_epoch',
        'sonnet_epoch',
        'quatrain',
        'products',
    ]
    code, output = self._drive(
        '--cases=mlp_b128',
        f'--contenders={",".join(names)}',
        '--rounds=1',
        '--num_examples=2048',
        '--num_epochs=2',
    )
    self.assertEqual(code, 0, output)
    runs = self._runs()
    self.assertEqual([run['contender'] for run in runs], names)
    self._check(runs)
    page = report.page([json.loads(self.out.read_text())])
    for name in names:
      self.assertIn(lineup.CONTENDERS[name].title, page)

  def _drive_fakes(self, *arguments: str) -> tuple[int, str]:
    fake = self.folder / 'python'
    fake.write_text(_FAKE)
    fake.chmod(0o755)
    return self._drive(
        f'--pythons=tensorflow={fake}',
        '--contenders=notebook,keras_tf,sonnet_step',
        '--cases=mlp_b32,cnn_b128',
        '--timeout_s=1',
        *arguments,
    )

  def test_failures_are_recorded_and_stop_nobody(self):
    code, output = self._drive_fakes('--rounds=2')
    self.assertEqual(code, 1, output)
    runs = self._runs()
    self.assertEqual(
        [(run['round'], run['case'], run['contender']) for run in runs],
        [
            (number, case, contender)
            for number in range(2)
            for case in ('mlp_b32', 'cnn_b128')
            for contender in ('notebook', 'keras_tf', 'sonnet_step')
        ],
    )
    self.assertEqual(
        [run['status'] for run in runs], 4 * ['ok', 'failed', 'timeout']
    )
    self.assertEqual(runs[1]['error'], 'Traceback\nError: lost')
    self.assertIn('0 mlp_b32 keras_tf float32: failed: Error: lost', output)
    self.assertIn('0 mlp_b32 notebook float32: 9 images/s', output)

  @pytest.mark.medium
  def test_a_campaign_goes_on_where_it_was(self):
    self._drive_fakes('--rounds=1')
    first = self._runs()[0]
    code, output = self._drive_fakes('--rounds=1')
    self.assertEqual(code, 2, output)
    self.assertIn('--resume', output)
    code, output = self._drive_fakes('--rounds=2', '--resume')
    self.assertEqual(code, 1, output)
    runs = self._runs()
    self.assertIn(first, runs)
    self.assertNotIn('0 mlp_b32 notebook', output)
    self.assertIn('0 mlp_b32 keras_tf', output)
    self.assertLen(runs, 12)

  def test_a_name_that_is_not_known(self):
    code, output = self._drive('--contenders=nobody')
    self.assertNotEqual(code, 0)
    self.assertIn('Expected some of notebook', output)

  @pytest.mark.slow
  def test_everybody_in_every_case(self):
    """Makes the environments of the peers in .benchmarks/, if need be."""
    code, output = self._drive(
        '--rounds=1',
        '--num_examples=2048',
        '--num_epochs=2',
        '--num_warmup_epochs=0',
        f'--folder={environments.FOLDER}',
    )
    self.assertEqual(code, 0, output)
    runs = self._runs()
    self.assertLen(runs, len(cases.CASES) * len(lineup.CONTENDERS))
    self.assertSameElements(
        [
            (run['case'], run['contender'])
            for run in runs
            if run['status'] == 'skipped'
        ],
        [
            (name, contender)
            for name, case in cases.CASES.items()
            for contender in lineup.CONTENDERS
            if lineup.refusal(contender, case, 'float32', has_gpu=False)
        ],
    )
    done = [run for run in runs if run['status'] == 'ok']
    for run in done:
      # This test times nothing, and no epoch was left out.
      run['images_per_second'] = run['images_per_second'][
          cases.CASES[run['case']].num_warmup_epochs :
      ]
    self._check(done)


if __name__ == '__main__':
  absltest.main()
