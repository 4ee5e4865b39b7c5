"""Tests of the source distribution: it holds the tree, and its tests run."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

import pytest
from absl.testing import absltest

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_FOLDERS = ('.ci', 'core', 'docs', 'launch', 'pipelines', 'tests')
_NOT_SOURCES = shutil.ignore_patterns(
    '__pycache__',
    '.git',
    '.venv',
    '.data',
    'bazel-*',
    'runs',
    '*.egg-info',
    '_build',
)
# A test of the tree, one of the library and one of a program.
_TESTS = (
    'tests/tree_test.py',
    'tests/core/losses/classification_test.py',
    'tests/launch/config_test.py',
)


def _files(folder: pathlib.Path) -> set[str]:
  """Returns the files of the source tree, as paths relative to its root."""
  top = (path for path in folder.iterdir() if path.is_file())
  inner = (
      path
      for name in _FOLDERS
      for path in (folder / name).rglob('*')
      if path.is_file()
  )
  return {str(path.relative_to(folder)) for path in (*top, *inner)}


@pytest.mark.medium
class SdistTest(absltest.TestCase):

  def test_it_holds_the_whole_tree_and_its_tests_run(self):
    temporary = tempfile.TemporaryDirectory()
    self.addCleanup(temporary.cleanup)
    folder = pathlib.Path(temporary.name)
    copy = folder / 'copy'
    # Building leaves files in the folder that it reads.
    shutil.copytree(_ROOT, copy, ignore=_NOT_SOURCES)
    expected = _files(copy)
    self._run(
        '-m', 'build', '--sdist', '--no-isolation', '--outdir', '.', cwd=copy
    )
    (archive,) = copy.glob('quatrain-*.tar.gz')
    with tarfile.open(archive) as packed:
      packed.extractall(folder)
    unpacked = folder / archive.name.removesuffix('.tar.gz')
    self.assertContainsSubset(expected, _files(unpacked))
    said = self._run('-m', 'pytest', '-q', *_TESTS, cwd=unpacked)
    self.assertRegex(said, r'\d+ passed')

  def _run(self, *arguments: str, cwd: pathlib.Path) -> str:
    """Runs Python in a folder; fails with all that it printed."""
    ended = subprocess.run(
        (sys.executable, *arguments),
        cwd=cwd,
        env={**os.environ, 'PYTHONPATH': ''},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    self.assertEqual(ended.returncode, 0, ended.stdout)
    return ended.stdout


if __name__ == '__main__':
  absltest.main()
