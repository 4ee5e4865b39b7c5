"""Tests of docs/examples: the commands in the headers, on a small set."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess

import numpy as np
import pytest
from absl.testing import absltest

from tests import checkouts, docs_files, docs_runs

_EXAMPLES = docs_files.ROOT / 'docs' / 'examples'


def _commands(name):
  """Returns the indented lines of a header as a script, without pip's."""
  header = ast.get_docstring(ast.parse((_EXAMPLES / name).read_text()))
  lines = [line for line in header.splitlines() if line.startswith('    ')]
  return '\n'.join(line for line in lines if ' pip ' not in line)


class ExamplesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = docs_runs.make_folder()
    (self.folder / 'docs').symlink_to(docs_files.ROOT / 'docs')

  def _run(self, commands):
    """Runs commands below a folder of their own; returns what they print."""
    ended = subprocess.run(
        [
            'bash',
            '-euc',
            re.sub(r'--num_epochs=\d+', '--num_epochs=2', commands).replace(
                '/tmp/', f'{self.folder}/'
            ),
        ],
        cwd=self.folder,
        env={
            **checkouts.environment(docs_runs.tiny_fashion_mnist()),
            'PYTHONPATH': os.fspath(self.folder),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    self.assertEqual(ended.returncode, 0, ended)
    return ended.stdout

  def test_they_are_short_and_mentioned(self):
    index = (docs_files.ROOT / 'docs' / 'index.md').read_text()
    for path in _EXAMPLES.iterdir():
      if path.suffix == '.py':
        self.assertLessEqual(path.read_text().count('\n'), 130, path.name)
        self.assertIn(f'(examples/{path.name})', index)

  @pytest.mark.medium
  def test_a_whole_run_continues_where_it_was(self):
    command = _commands('whole_run.py') + ' --num_epochs=2 --batch_size=20'
    first, second, score = self._run(command).splitlines()
    self.assertStartsWith(first, 'epoch 1: loss ')
    self.assertRegex(score, r'^test accuracy [01]\.\d{4}$')
    self.assertEqual(self._run(command).splitlines(), [score])
    saved = sorted((self.folder / 'whole_run' / 'checkpoints').glob('ckpt-*'))
    steps = {int(re.search(r'ckpt-(\d+)', path.name)[1]) for path in saved}
    self.assertLen(steps, 2)
    for path in saved:
      if f'ckpt-{max(steps)}' in path.name:
        path.unlink()
    again, same = self._run(command).splitlines()
    self.assertEqual(again.rpartition(',')[0], second.rpartition(',')[0])
    self.assertEqual(same, score)

  @pytest.mark.medium
  def test_a_source(self):
    self._run(_commands('own_source.py'))
    result = json.loads((self.folder / 'digits' / 'result.json').read_text())
    self.assertEqual(result['test']['num_examples'], 359)
    self.assertGreater(result['test_accuracy'], 0.5)

  @pytest.mark.medium
  def test_a_task(self):
    printed = self._run(_commands('own_task.py'))
    self.assertIn('test_mse', printed)
    with np.load(self.folder / 'denoised.npz') as columns:
      self.assertIn((61, 28, 28, 1), [columns[name].shape for name in columns])
    result = json.loads((self.folder / 'denoising' / 'result.json').read_text())
    self.assertLess(result['test_mse'], 0.3)


if __name__ == '__main__':
  absltest.main()
