"""Runs README and the guides: every program and command, page by page.

Neighbouring blocks of a language are one program: see `docs_runs`.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from tests import (
    checkouts,
    docs_files,
    docs_images,
    docs_runs,
    readme,
    small_datasets,
)

_NUMBER = re.compile(r'\d+\.\d+')
_DOCS = docs_files.ROOT / 'docs'
_LAUNCH_GUIDE = _DOCS / 'guide_launch.md'
# Minutes each; a test below runs each of them.
_SLOW = (
    'guide_cluster.md',
    'guide_export.md',
    'guide_hooks.md',
    'guide_launch.md',
    'guide_reproducibility.md',
    'guide_speed.md',
    'guide_sweeps.md',
)
_FAST = [
    path
    for path in docs_files.GUIDES
    # docs_tutorial_test runs these.
    if path.name not in _SLOW and 'tutorial' not in path.name
]


def _read(path: pathlib.Path) -> dict:
  return json.loads(path.read_text())


class ReadmeTest(parameterized.TestCase):

  @pytest.mark.medium
  def test_readme_runs_and_the_fields_of_its_run_are_told(self):
    ran = docs_runs.run(docs_files.README)
    self._assert_printed(ran.printed)
    run = ran.folder / 'runs' / 'mine'
    lines = (run / 'metrics.jsonl').read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    found = {f'metrics.jsonl, split {row["split"]}': row for row in rows}
    found |= {
        'config.json': _read(run / 'config.json'),
        'result.json': _read(run / 'result.json'),
        'evaluation_SPLIT.json': _read(run / 'evaluation_test.json'),
        'exports/parity.json': _read(run / 'exports' / 'parity.json'),
    }
    for heading, written in found.items():
      with self.subTest(heading):
        told = docs_files.fields(_LAUNCH_GUIDE, heading)
        self.assertCountEqual(told, written)
    told = re.findall(r'^\| `([\w./]+)` \|', _LAUNCH_GUIDE.read_text(), re.M)
    for name in os.listdir(run):
      name = re.sub(r'_test\.json$', '_SPLIT.json', name)
      name += '/' if (run / name).is_dir() else ''
      self.assertIn(name, told)

  def _assert_printed(self, printed):
    """Compares what README's program printed with the comment of its print."""
    [shown] = re.findall(r'  # (loss .*)', readme.program())
    [line] = [line for line in printed.splitlines() if line[:5] == 'loss ']
    self.assertEqual(*(_NUMBER.sub('', text) for text in (shown, line)))
    numbers = [
        [float(number) for number in _NUMBER.findall(text)]
        for text in (shown, line)
    ]
    np.testing.assert_allclose(*numbers, atol=0.05)

  def test_readme_is_short(self):
    self.assertLessEqual(docs_files.README.read_text().count('\n'), 90)

  @pytest.mark.slow
  @absltest.skipIf(
      small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
  )
  def test_the_first_command_gives_the_picture_and_the_accuracy(self):
    folder = docs_runs.make_folder()
    subprocess.run(
        ['./run.sh', f'--archives_dir={small_datasets.FASHION_MNIST_DIR}'],
        cwd=folder,
        env=checkouts.environment(folder / 'data'),
        check=True,
        timeout=900,
    )
    run = folder / 'runs' / 'fashion_mnist_convnet'
    self.assertBetween(_read(run / 'result.json')['test_accuracy'], 0.92, 0.94)
    self.assertLess(docs_images.difference('curves.png', folder), 0.05)


class GuideTest(parameterized.TestCase):

  @parameterized.parameters(*_FAST)
  @pytest.mark.medium
  def test_a_guide_runs(self, path):
    docs_runs.run(path)

  @pytest.mark.slow
  def test_the_launch_guide_runs(self):
    folder, _ = docs_runs.run(_LAUNCH_GUIDE)
    done = {path.parent.name for path in folder.glob('runs/*/result.json')}
    self.assertEqual(
        done,
        {
            'first',
            'second',
            'recipe',
            'replaced',
            'replicas',
            'workers',
            'watched',
        },
    )
    replicas, workers = (
        _read(folder / 'runs' / name / 'result.json')['last_validation']
        for name in ('replicas', 'workers')
    )
    lines = (folder / 'runs' / 'first' / 'metrics.jsonl').read_text()
    [alone] = [
        row
        for row in map(json.loads, lines.splitlines())
        if row['split'] == 'validation' and row['step'] == replicas['step']
    ]
    for other in (replicas, workers):
      self.assertAlmostEqual(other['loss'], alone['loss'], places=4)

  @pytest.mark.slow
  def test_the_guide_of_clusters_runs(self):
    folder, printed = docs_runs.run(_DOCS / 'guide_cluster.md')
    self.assertEqual(printed, '')
    result = _read(folder / 'runs' / 'two' / 'result.json')
    self.assertEqual(
        result['shapes'], [{'step': 0, 'num_workers': 2, 'num_replicas': 2}]
    )
    for name in ('Dockerfile.workers', 'first.json'):
      self.assertNotEmpty((folder / name).read_text())

  @pytest.mark.slow
  def test_the_guide_of_reproducibility_runs(self):
    folder, _ = docs_runs.run(_DOCS / 'guide_reproducibility.md')
    first, again = (
        _read(folder / 'runs' / name / 'result.json')['weights_sha256']
        for name in ('first', 'again')
    )
    self.assertEqual(first, again)

  @pytest.mark.slow
  def test_the_guide_of_exports_runs(self):
    folder, printed = docs_runs.run(_DOCS / 'guide_export.md')
    self.assertNotEmpty(printed)
    for name, num_files in (
        ('clothes', 4),
        ('houses', 3),
        ('films', 3),
        ('spots', 3),
    ):
      report = _read(folder / 'runs' / name / 'exports' / 'parity.json')
      self.assertLen(report['files'], num_files)
      self.assertTrue(all(row['agrees'] for row in report['exports']))

  @pytest.mark.slow
  def test_the_guide_of_hooks_runs(self):
    folder, _ = docs_runs.run(_DOCS / 'guide_hooks.md')
    stopped = {
        path.parent.name: _read(path)['stopped']['hook']
        for path in folder.glob('runs/*/result.json')
    }
    self.assertEqual(
        stopped,
        {
            'stopped_early': 'EarlyStopping',
            'my_hooks': 'good_enough',
        },
    )

  @pytest.mark.slow
  def test_the_guide_of_speed_runs(self):
    folder, _ = docs_runs.run(_DOCS / 'guide_speed.md')
    self.assertLen(list((folder / 'looks').glob('*.png')), 2)

  @pytest.mark.slow
  def test_the_guide_of_sweeps_runs(self):
    folder, printed = docs_runs.run(_DOCS / 'guide_sweeps.md')
    self.assertLen(printed.splitlines(), 4)
    self.assertLen(list(folder.glob('sweeps/mlp/trials/*/*/result.json')), 8)


if __name__ == '__main__':
  absltest.main()
