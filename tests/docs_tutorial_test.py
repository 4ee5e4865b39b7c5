"""Runs the tutorial in order: each block prints what stands below it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from typing import NamedTuple

import numpy as np
import pytest
from absl.testing import absltest

from launch.web import browser
from pipelines import sources
from tests import checkouts, docs_files, docs_images, docs_runs, small_datasets

_PAGES = sorted((docs_files.ROOT / 'docs').glob('tutorial_*.md'))
_NUM_FAST_PAGES = 2  # The others train for minutes.
_NUMBER = re.compile(r'\d+(?:[.,:]\d+)*(?:e[-+]\d+)?')
_FLOAT = re.compile(r'\d+\.\d+')
_END_OF_A_CELL = '\x1e'


class Cell(NamedTuple):
  """A program, or a part of one, what it should print, and what it prints."""

  language: str
  code: str
  shown: str = ''
  printed: str = ''


def _cells(path):
  """Lists the cells of a page; a command of the page writes parts.py."""
  cells = []
  for language, text in docs_files.blocks(path):
    if language == 'text' and cells:
      cells[-1] = cells[-1]._replace(shown=text)
    elif language in ('sh', 'python') and not text.startswith('# parts.py'):
      cells.append(Cell(language, text))
  return cells


def _run_page(path, folder, environment):
  """Runs the cells of a page: its Python as one program, after the commands."""
  cells = _cells(path)
  commands = [cell for cell in cells if cell.language == 'sh']
  python = [cell for cell in cells if cell.language == 'python']
  marked = ''.join(
      f'{cell.code}\nprint({_END_OF_A_CELL!r}, end="")\n' for cell in python
  )
  programs = [
      *(['bash', '-euo', 'pipefail', '-c', cell.code] for cell in commands),
      [sys.executable, '-c', marked],
  ]
  printed = []
  for program in programs:
    ended = subprocess.run(
        program,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    if ended.returncode or 'triggered tf.function retracing' in ended.stderr:
      raise AssertionError(f'{path.name}: {program[-1]}\n{ended}')
    printed.append(ended.stdout)
  printed += printed.pop().split(_END_OF_A_CELL)[:-1]
  for cell, text in zip([*commands, *python], printed, strict=True):
    yield cell._replace(printed=text)


def _words(line):
  return ' '.join(_NUMBER.sub('N', line).replace('-', ' ').split())


class TutorialTest(absltest.TestCase):

  def _assert_printed(self, cell, *, compares_numbers):
    """Compares what was printed and what is shown, which is a part of it."""
    with self.subTest(cell.code.splitlines()[0]):
      printed = {_words(line): line for line in cell.printed.splitlines()}
      for shown in cell.shown.splitlines():
        self.assertIn(_words(shown), printed, cell.printed)
      if cell.language == 'python':
        self.assertLen(cell.shown.splitlines(), cell.printed.count('\n'))
        if compares_numbers:
          np.testing.assert_allclose(
              *(
                  [float(number) for number in _FLOAT.findall(text)]
                  for text in (cell.shown, cell.printed)
              ),
              atol=0.05,
          )
      elif compares_numbers:
        for shown in cell.shown.splitlines():
          if 'test_accuracy' in shown:
            np.testing.assert_allclose(
                *(
                    float(_FLOAT.search(line)[0])
                    for line in (shown, printed[_words(shown)])
                ),
                atol=0.02,
            )

  def test_the_pages_are_in_order_and_short(self):
    self.assertLen(_PAGES, 4)
    texts = [path.read_text() for path in _PAGES]
    self.assertLess(sum(text.count('\n') for text in texts), 650)
    for text, following in zip(texts, _PAGES[1:]):
      self.assertIn(f'({following.name})', text.rpartition('Next:')[2])
    texts.append(docs_files.README.read_text())
    for name in docs_images.PICTURES:
      self.assertTrue(any(f'images/{name})' in text for text in texts), name)
      size = (docs_images.IMAGES / name).stat().st_size
      self.assertLess(size, docs_images.MAX_BYTES, name)

  @pytest.mark.medium
  def test_each_cell_prints_what_stands_below_it(self):
    folder = docs_runs.make_folder()
    (folder / 'docs').symlink_to(docs_files.ROOT / 'docs')
    environment = checkouts.environment(docs_runs.tiny_fashion_mnist())
    parts, loop = _PAGES[:_NUM_FAST_PAGES]
    for cell in _run_page(parts, folder, environment):
      self._assert_printed(cell, compares_numbers=True)
    self.assertLess(docs_images.difference('robust_loss.png', folder), 0.02)
    for cell in _run_page(loop, folder, environment):
      self._assert_printed(cell, compares_numbers=False)
    self.assertTrue((folder / 'loop.png').exists())

  @pytest.mark.slow
  @absltest.skipIf(
      small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
  )
  def test_all_of_it_on_fashion_mnist(self):
    folder = docs_runs.make_folder()
    (folder / 'docs').symlink_to(docs_files.ROOT / 'docs')
    with tempfile.TemporaryDirectory() as data_dir:
      sources.open_dataset(
          'fashion_mnist',
          data_dir=data_dir,
          archives_dir=small_datasets.FASHION_MNIST_DIR,
      )
      for path in _PAGES:
        for cell in _run_page(path, folder, checkouts.environment(data_dir)):
          self._assert_printed(cell, compares_numbers=True)
      names = ['loop.png', 'rates.png']
      names += ['mistakes.png'] * bool(browser.installed())
      for name in names:
        self.assertLess(docs_images.difference(name, folder), 0.05, name)


if __name__ == '__main__':
  absltest.main()
