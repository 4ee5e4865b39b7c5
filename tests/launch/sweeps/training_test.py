"""Tests of how runs are started and ended, and of what is made of results.

Covers: ranking, summary.

The processes here take no TensorFlow to end as runs do; tests of launch.sweep
start runs.
"""

from __future__ import annotations

import csv
import html
import json
import math
import os
import pathlib
import re
import signal
import sys
import threading
import time
from unittest import mock

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from launch import programs
from launch.sweeps import ranking, search, space, summary, training
from tests.launch import runs
from tests.launch.reporting import reading

# Ends as a run does, once a file says so; its accuracy is its learning rate.
_RUN = """
import json, os, pathlib, signal, sys, time
flags = dict(each[2:].split('=', 1) for each in sys.argv[1:])
path, rate = pathlib.Path(flags['workdir']), float(flags['learning_rate'])
signal.signal(15, lambda *_: sys.exit(143))
print('epoch 1', flush=True)
(path / 'begun').write_text(os.environ.get('CUDA_VISIBLE_DEVICES', ''))
while (path.parents[2] / 'wait').exists():
  time.sleep(0.01)
if rate > 1:
  print('launch.train: the loss of step 2 is not finite.', file=sys.stderr)
  sys.exit(1)
(path / 'result.json').write_text(json.dumps({
    'num_steps': 3, 'monitor': 'accuracy',
    'validation_accuracy': rate + int(flags['seed']) / 1000,
    'test_accuracy': rate - 0.01,
}))
"""


class _Told(search.Listed):
  """Learns, and keeps what it was told."""

  learns = True

  def __init__(self, trials):
    super().__init__(trials)
    self.events = []

  def ask(self, number):
    self.events.append(('ask', number))
    return super().ask(number)

  def tell(self, number, value):
    self.events.append(('tell', number, value))


class TrainingTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))
    self.started = []

  def training(self, *rates, seeds=1, parallel=1, search_type=search.Listed):
    def command(values, path):
      self.started.append((path.parent.name, path.name))
      return [sys.executable, '-c', _RUN, *space.flags_of(values)]

    self.search = search_type([{'learning_rate': each} for each in rates])
    slots = [{'CUDA_VISIBLE_DEVICES': str(i)} for i in range(parallel)]
    return training.Training(
        self.search, self.folder, seeds, command, ranking.value, slots
    )

  def soon(self, *events):
    """Calls functions one after another, once runs have begun."""

    def call():
      for number, event in events:
        while len(list(self.folder.glob('trials/*/*/begun'))) < number:
          time.sleep(0.01)
        event()

    thread = threading.Thread(target=call)
    thread.start()
    self.addCleanup(thread.join)

  def test_all_are_trained_and_what_is_missing_alone(self):
    trained = self.training(0.5, 2.0, 0.25, seeds=2, parallel=3)
    self.assertEqual(trained.run(), 0)
    self.assertCountEqual(
        self.started,
        [
            (f'000{trial}', f'seed_{seed}')
            for trial in range(3)
            for seed in (0, 1)
        ],
    )
    first, failed, last = trained.trials
    self.assertEqual(first.results[1]['validation_accuracy'], 0.501)
    self.assertEqual(
        failed.failures,
        dict.fromkeys((0, 1), 'the loss of step 2 is not finite.'),
    )
    run = last.workdirs[0]
    self.assertEndsWith(
        (run / 'command').read_text(),
        f'--learning_rate=0.25 --workdir={run} --seed=0\n',
    )
    self.assertIn('[2] epoch 1\n', (run / 'output.txt').read_text())
    gpus = {path.read_text() for path in self.folder.glob('trials/*/*/begun')}
    self.assertLessEqual(gpus, {'0', '1', '2'})
    self.assertGreater(len(gpus), 1)
    # A second start: what failed is tried again, and there is one more.
    (run / 'result.json').unlink()
    self.started.clear()
    again = self.training(0.5, 2.0, 0.25, 0.1, seeds=2)
    self.assertEqual(again.run(), 0)
    self.assertEqual(
        self.started,
        [
            ('0001', 'seed_0'),
            ('0001', 'seed_1'),
            ('0002', 'seed_0'),
            ('0003', 'seed_0'),
            ('0003', 'seed_1'),
        ],
    )
    self.assertEqual(again.trials[2].results, last.results)

  @parameterized.parameters((1, 1, 0), (2, 1, 1), (3, 2, 1), (4, 2, 2))
  @pytest.mark.medium
  def test_a_trial_depends_on_the_same_results_however_long_they_take(
      self, parallel, seeds, lag
  ):
    trained = self.training(
        0.1,
        0.2,
        3.0,
        0.4,
        0.5,
        seeds=seeds,
        parallel=parallel,
        search_type=_Told,
    )
    self.assertEqual(trained.run(), 0)
    told = 0
    for event in self.search.events:
      if event[0] == 'tell':
        self.assertEqual(event[1], told)
        told += 1
      else:
        self.assertEqual(told, max(0, event[1] - lag))
    self.assertEqual(told, 5)
    values = [event[2] for event in self.search.events if event[0] == 'tell']
    self.assertIsNone(values[2])
    self.assertAlmostEqual(values[0], -0.1, delta=1e-3)

  def test_nothing_is_validated(self):
    """That is told once the first run has ended."""
    self.enter_context(
        mock.patch.dict(
            globals(), _RUN=_RUN.replace("'validation_accuracy'", "'other'")
        )
    )
    with self.assertRaisesRegex(programs.UserError, 'nothing was validated'):
      self.training(0.1, 0.2, 0.3).run()
    self.assertLen(self.started, 1)

  def test_a_signal_is_passed_on(self):
    (self.folder / 'wait').touch()
    self.soon((2, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    trained = self.training(0.1, 0.2, 0.3, parallel=2)
    self.assertEqual(trained.run(), signal.SIGTERM)
    self.assertLen(self.started, 2)
    self.assertEqual([each.failures for each in trained.trials], [{}, {}])

  def test_a_second_one_kills(self):
    (self.folder / 'wait').touch()
    self.enter_context(
        mock.patch.dict(
            globals(), _RUN=_RUN.replace('lambda *_: sys.exit(143)', '1')
        )
    )

    def twice():
      for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)

    self.soon((1, twice))
    self.assertEqual(self.training(0.1).run(), signal.SIGTERM)

  def test_runs_die_with_the_sweep(self):
    (self.folder / 'wait').touch()
    trials = [{'learning_rate': rate} for rate in (0.1, 0.2)]
    text = (
        'import pathlib, sys\n'
        'from launch.sweeps import search, training\n'
        f'command = [sys.executable, "-c", {_RUN!r}, "--learning_rate=1"]\n'
        'training.Training(\n'
        f'    search.Listed({trials!r}), pathlib.Path({str(self.folder)!r}),\n'
        '    1, lambda *_: command, lambda _: 0.0, [{}, {}]).run()\n'
    )
    process = runs.start_python('-c', text)
    with runs.ending(process):
      self.soon((2, process.kill))
      self.assertEqual(process.wait(60), -signal.SIGKILL)
    begun = [path.parent for path in self.folder.glob('trials/*/*/begun')]
    (self.folder / 'wait').unlink()
    time.sleep(0.5)
    for run in begun:
      self.assertFalse((run / 'result.json').exists())


def _trial(number, *accuracies, failures=(), **more):
  folder = pathlib.Path('/sweep')
  paths = training.workdirs(folder, number, len(accuracies) + len(failures))
  return training.Trial(
      number,
      {'learning_rate': 10.0**-number, 'model_arg.sizes': [16, number]},
      paths,
      {
          seed: {
              'num_steps': 9,
              'monitor': 'accuracy',
              'direction': 'max',
              'validation_accuracy': accuracy,
              'test_accuracy': accuracy - 0.1,
              **more,
          }
          for seed, accuracy in enumerate(accuracies)
      },
      dict(failures),
  )


class RankingTest(parameterized.TestCase):

  def trials(self):
    stopped = {
        'stopped': {
            'step': 7,
            'hook': 'worse_than_median',
            'reason': 'worse',
        }
    }
    return [
        _trial(0, 0.5, 0.52, 0.51, 0.53),
        _trial(1, 0.9, 0.92, 0.91, 0.93),
        _trial(2, 0.89, 0.93, 0.9, 0.95),
        _trial(3, failures=[(0, 'not <finite>'), (1, 'too')]),
        _trial(4, 0.99, 0.99, **stopped),
        _trial(5, 0.99, failures=[(1, 'lost')]),
    ]

  def test_the_best_first(self):
    rows = ranking.rank(self.trials())
    self.assertEqual([row.trial.number for row in rows], [2, 1, 0, 4, 5, 3])
    self.assertEqual(
        [row.verdict for row in rows],
        ['', 'not shown', 'shown', 'not shown', '', ''],
    )
    self.assertAlmostEqual(rows[2].to_best.difference.mean, 0.4025)
    self.assertAlmostEqual(rows[2].test.mean, 0.415)
    self.assertEqual(rows[2].to_best.method, 'paired t test')
    notes = [row.note for row in rows]
    self.assertEqual(notes[3], '2 pruned at step 7')
    self.assertEqual(notes[4], 'seed 1 failed: lost')
    self.assertEqual(notes[5], 'seed 0 failed, and 1 more: not <finite>')

  def test_p_is_adjusted_for_all_pairs(self):
    trials = self.trials()[:3]
    two, three = ranking.rank(trials[:2]), ranking.rank(trials)
    self.assertAlmostEqual(two[1].p, two[1].to_best.p)
    self.assertAlmostEqual(three[2].p, 3 * three[2].to_best.p)

  def test_many_trials(self):
    generator = np.random.default_rng(0)
    trials = [_trial(i, *generator.normal(0.9, 0.01, 3)) for i in range(300)]
    trials.append(_trial(300, 0.1, 0.11, 0.12))
    rows = ranking.rank(trials)
    self.assertEqual(rows[-1].trial.number, 300)
    self.assertBetween(
        rows[-1].p / rows[-1].to_best.p, 301 * 299 / 2, 301 * 300 / 2
    )

  def test_the_smaller_the_better(self):
    trials = [
        training.Trial(
            number,
            {},
            [pathlib.Path('a')] * 3,
            {
                seed: {
                    'monitor': 'rmse',
                    'direction': 'min',
                    'validation_rmse': 5 - number + seed / 100 + noise,
                }
                for seed, noise in enumerate((0, 0.01 * number, 0))
            },
        )
        for number in range(2)
    ]
    self.assertAlmostEqual(ranking.value(trials[0]), 5.01)
    rows = ranking.rank(trials)
    self.assertEqual([row.trial.number for row in rows], [1, 0])
    self.assertGreater(rows[1].to_best.difference.low, 0.9)
    self.assertIsNone(rows[0].test)

  def test_without_validation(self):
    trial = _trial(0, 0.5)
    del trial.results[0]['validation_accuracy']
    with self.assertRaisesRegex(programs.UserError, 'nothing was validated'):
      ranking.value(trial)

  def test_what_is_not_finite_comes_last(self):
    """As an AUC over one class is; it is no result that Optuna takes."""
    trials = [
        _trial(0, math.nan, math.nan),
        _trial(1, 0.9, math.nan),
        _trial(2, 0.1),
    ]
    self.assertIsNone(ranking.value(trials[0]))
    rows = ranking.rank(trials)
    self.assertEqual([row.trial.number for row in rows], [2, 1, 0])
    self.assertEqual(
        [row.note for row in rows],
        ['', 'not finite with seed 1', 'not finite with seed 0, 1'],
    )
    self.assertIsNone(rows[2].to_json()['validation'])

  def test_files(self):
    folder = pathlib.Path(runs.scratch(self))
    (folder / 'space.toml').write_text(
        'learning_rate = {min = 1e-9, max = 1, log = true}\n'
        f'model_arg.sizes = {[[16, number] for number in range(6)]}\n'
    )
    found = space.read(str(folder / 'space.toml'))
    rows = ranking.rank(self.trials())
    flags = ['--a=b c', '--model=<b>']
    text = summary.write(folder, rows, found, 'python -m launch.train', flags)
    lines = text.splitlines()
    self.assertLen(lines, 8)
    self.assertRegex(lines[2], r'^2 +0\.01 +16,2 +4 +0\.9175 \[0\.8')
    self.assertRegex(lines[4], r'0\.4025 \[0\.3.*\] +(< 0.0001|0.0) +shown$')
    self.assertIn('not <finite>', lines[7])
    told = json.loads((folder / 'sweep.json').read_text())
    self.assertEqual((told['monitor'], told['direction']), ('accuracy', 'max'))
    self.assertEqual(
        [each['trial'] for each in told['trials']], [2, 1, 0, 4, 5, 3]
    )
    self.assertEqual(told['trials'][4]['validation'], [0.99, None, None])
    self.assertIsNone(told['trials'][5]['validation'])
    with open(folder / 'sweep.csv') as file:
      table = list(csv.DictReader(file))
    self.assertEqual([row['trial'] for row in table], list('210453'))
    self.assertAlmostEqual(float(table[0]['validation_accuracy']), 0.9175)
    self.assertEqual(table[5]['validation_accuracy'], '')
    written = (folder / 'report.html').read_text()
    self.assertIn('not &lt;finite&gt;', written)
    self.assertIn(
        html.escape("python -m launch.train \\\n  '--a=b c' \\\n"), written
    )
    reading.read(folder / 'report.html')  # It needs no other file.
    self.assertLen(re.findall('<tr>', written), 7)
    png = (folder / 'parallel_coordinates.png').read_bytes()
    self.assertStartsWith(png, b'\x89PNG')
    drawn = summary._plot(rows, summary.monitor_lib.by_name('accuracy'), found)
    [panel] = drawn.axes
    thick = [line for line in panel.lines if line.get_linewidth() == 3]
    self.assertLen(thick, 1)
    self.assertAlmostEqual(thick[0].get_ydata()[1], 2 / 5)
    labels = [each.get_text() for each in panel.texts]
    self.assertIn('1e-05', labels[:3])  # The lowest rate that was drawn.


if __name__ == '__main__':
  absltest.main()
