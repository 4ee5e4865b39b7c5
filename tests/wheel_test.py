"""Tests of the wheel: what is in it, and that it works away from here."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile

import pytest
from absl.testing import absltest

from tests import readme

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_LIBRARIES = ('core', 'pipelines')
_BUILT_FROM = (
    'LICENSE', 'README.md', 'pyproject.toml', 'requirements.txt', *_LIBRARIES
)
_IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
  module = importlib.import_module(name)
  print(module.__file__)
assert not {'core', 'pipelines', 'launch'} & sys.modules.keys()
"""


def _run(*command: str, cwd: str, **environment: str) -> str:
  """Runs a command away from the checkout; fails with all that it said."""
  inherited = {
      name: value for name, value in os.environ.items() if name != 'PYTHONPATH'
  }
  ended = subprocess.run(
      command,
      cwd=cwd,
      env={**inherited, **environment},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
  )
  if ended.returncode:
    raise AssertionError(f'{" ".join(command)}\n{ended.stdout}')
  return ended.stdout


def _pip(python: str, *arguments: str, cwd: str) -> None:
  _run(python, '-m', 'pip', '--disable-pip-version-check', *arguments, cwd=cwd)


class WheelTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = cls._make_folder()
    source = pathlib.Path(cls.folder, 'source')
    source.mkdir()
    # A copy, since setuptools leaves a build folder, and would read an old one.
    for name in _BUILT_FROM:
      copy = shutil.copytree if (_ROOT / name).is_dir() else shutil.copy
      copy(_ROOT / name, source / name)
    _pip(
        sys.executable, 'wheel', '--no-deps', '--no-build-isolation',
        '--wheel-dir', cls.folder, str(source), cwd=cls.folder,
    )
    (cls.wheel,) = pathlib.Path(cls.folder).glob('quatrain-*.whl')
    with zipfile.ZipFile(cls.wheel) as archive:
      cls.names = {
          name for name in archive.namelist() if '.dist-info/' not in name
      }
      (metadata,) = (
          name for name in archive.namelist() if name.endswith('/METADATA')
      )
      cls.metadata = archive.read(metadata).decode()

  @classmethod
  def _make_folder(cls) -> str:
    """Makes a folder that goes when the tests are done (Python 3.10 too)."""
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    return folder.name

  def test_it_holds_every_module_under_its_own_name_and_nothing_else(self):
    expected = {
        f'quatrain/{path.relative_to(_ROOT).as_posix()}'
        for library in _LIBRARIES
        for path in (_ROOT / library).rglob('*.py')
    }
    typed = {f'quatrain/{library}/py.typed' for library in _LIBRARIES}
    self.assertSameElements(
        self.names,
        expected | typed,
        'List each package in [tool.setuptools] of pyproject.toml.',
    )

  def test_it_depends_on_what_requirements_txt_lists(self):
    requirements = [
        line.split('>=')[0]
        for line in (_ROOT / 'requirements.txt').read_text().splitlines()
        if line and not line.startswith('#')
    ]
    self.assertNotEmpty(requirements)
    for requirement in requirements:
      self.assertIn(f'Requires-Dist: {requirement}', self.metadata)

  def test_every_module_is_imported_from_another_directory(self):
    target = os.path.join(self.folder, 'site')
    _pip(
        sys.executable, 'install', '--no-deps', '--target', target,
        str(self.wheel), cwd=self.folder,
    )
    modules = [
        name.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
        for name in sorted(self.names)
        if name.endswith('.py')
    ]
    printed = _run(
        sys.executable, '-c', _IMPORT_ALL, *modules,
        cwd=self.folder, PYTHONPATH=target, TF_CPP_MIN_LOG_LEVEL='3',
    )
    paths = [line for line in printed.splitlines() if line.startswith(target)]
    self.assertLen(paths, len(modules))

  @pytest.mark.slow
  def test_alone_in_an_empty_environment_it_runs_the_program_of_readme(self):
    environment = os.path.join(self.folder, 'venv')
    venv.create(environment, with_pip=True)
    python = os.path.join(environment, 'bin', 'python')
    _pip(python, 'install', '--quiet', str(self.wheel), cwd=self.folder)
    program = os.path.join(self.folder, 'program.py')
    pathlib.Path(program).write_text(readme.program())
    _run(python, program, cwd=self.folder)


if __name__ == '__main__':
  absltest.main()
