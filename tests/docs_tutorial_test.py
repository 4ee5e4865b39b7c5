"""Runs the tutorial as one program: each cell prints what stands below it."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from absl.testing import absltest

from pipelines import sources
from tests import checkouts, docs_files, docs_runs, small_datasets

_NUMBER = re.compile(r'\d+\.\d+')
_END_OF_A_CELL = '\x1e'
_TUTORIAL = docs_files.ROOT / 'docs' / 'guide_tutorial.md'


class TutorialTest(absltest.TestCase):

  def _run_cells(self, data_dir):
    """Runs the page as one program; yields each cell and what it printed."""
    folder = docs_runs.make_folder()
    cells = docs_files.cells(_TUTORIAL)
    ended = subprocess.run(
        [sys.executable, '-c', ''.join(
            f'{cell.code}\nprint({_END_OF_A_CELL!r}, end="")\n'
            for cell in cells
        )],
        cwd=folder, env=checkouts.environment(data_dir), capture_output=True,
        timeout=600,
    )
    self.assertEqual(ended.returncode, 0, ended.stderr.decode())
    printed = re.sub(r'[^\n]*\r', '', ended.stdout.decode())
    return folder, zip(cells, printed.split(_END_OF_A_CELL)[:-1], strict=True)

  def _assert_printed(self, cell, printed):
    with self.subTest(cell.code.splitlines()[0]):
      words, numbers = (
          [pattern(text) for text in (cell.shown, printed)]
          for pattern in (functools.partial(_NUMBER.sub, ''), _NUMBER.findall)
      )
      self.assertEqual(*words)
      numbers = [[float(number) for number in each] for each in numbers]
      np.testing.assert_allclose(*numbers, atol=0.05)

  def _assert_drawn(self, folder, name, pixels):
    """Compares the words of a picture, and its curves to rounding."""
    shown, drawn = (
        (parent / name).read_text()
        for parent in (docs_files.ROOT / 'docs', folder)
    )
    self.assertIn(f'({name})', _TUTORIAL.read_text())
    curves = []
    for text in (shown, drawn):
      paths = re.findall(r'<path d="([^"]+)" clip-path', text)
      curves.append([float(x) for x in re.findall(r'-?\d+\.?\d*', str(paths))])
    self.assertNotEmpty(curves[0])
    self.assertEqual(*(re.findall('<text.*?>(.*)</text>', text)
                       for text in (shown, drawn)))
    np.testing.assert_allclose(*curves, atol=pixels)

  def test_each_cell_prints_what_stands_below_it(self):
    folder, ran = self._run_cells(docs_runs.tiny_fashion_mnist())
    for cell, printed in ran:
      if 'Fashion-MNIST' in cell.heading:  # Here a small set of its name.
        cell = cell._replace(shown=re.sub(r'\d+', 'N', cell.shown))
        printed = re.sub(r'\d+', 'N', printed)
      self._assert_printed(cell, printed)
    self._assert_drawn(folder, 'tutorial_housing.svg', pixels=4)
    self.assertIn('<svg', (folder / 'tutorial_fashion_mnist.svg').read_text())

  @pytest.mark.slow
  @absltest.skipIf(
      small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
  )
  def test_so_it_does_on_fashion_mnist(self):
    with tempfile.TemporaryDirectory() as data_dir:
      sources.open_dataset(
          'fashion_mnist', data_dir=data_dir,
          archives_dir=small_datasets.FASHION_MNIST_DIR,
      )
      folder, ran = self._run_cells(data_dir)
      for cell, printed in ran:
        self._assert_printed(cell, printed)
      self._assert_drawn(folder, 'tutorial_fashion_mnist.svg', pixels=15)

if __name__ == '__main__':
  absltest.main()
