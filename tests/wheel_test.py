"""Tests of the wheel: what is in it, and that it works away from here."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile

import pytest
from absl.testing import absltest

from launch import about
from tests import readme

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_LIBRARIES = ('core', 'launch', 'pipelines')
_BUILT_FROM = (
    'LICENSE',
    'README.md',
    'pyproject.toml',
    'requirements.txt',
    'setup.py',
    *_LIBRARIES,
)
# Flags are of one program in a process.
_PROGRAMS = (
    'benchmark',
    'checkpoints',
    'compare',
    'diff',
    'evaluate',
    'export',
    'predict',
    'publish',
    'report',
    'reproduce',
    'show',
    'sweep',
    'train',
    'tune',
)
_LAUNCHERS = (
    'cluster/local',
    'cluster/ray',
    'cluster/render',
    'cluster/starting',
)
_IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
  module = importlib.import_module(name)
  print(module.__file__)
assert not {'core', 'pipelines', 'launch'} & sys.modules.keys()
"""
_PARTS = """
import numpy as np
import sonnet as snt
import tensorflow as tf
from quatrain.core import metrics


class Net(snt.Module):
  def __init__(self, num_classes, width=8):
    super().__init__()
    self.layers = snt.nets.MLP([width, num_classes])

  def __call__(self, points):
    return self.layers(points)


def margin(labels, logits):
  right = tf.gather(logits, labels, batch_dims=1)
  return tf.reduce_sum(tf.nn.relu(1 + logits - right[:, None]), axis=1)


def own_accuracy():
  return metrics.accuracy()


def hook(step, values):
  print('hook:', step, sorted(values))


def data():
  points = np.random.default_rng(0).normal(size=[300, 2]).astype('float32')
  return {'points': points, 'label': (points[:, 0] > points[:, 1]).astype(int)}
"""
_OWN = (
    '--dataset=parts:data',
    '--model=parts.py:Net',
    '--loss=parts:margin',
    '--metrics=accuracy,parts:own_accuracy',
    '--hooks=parts:hook',
)
_NOTEBOOK = """
from quatrain import launch
import parts

config = launch.Config(model=parts.Net, workdir='other', num_epochs=1)
result = launch.run('classification', parts.data, config)
run = launch.load('other')
assert run.evaluate().values['accuracy'] == result.values['test_accuracy']
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


def _parts(requirement: str) -> frozenset[str]:
  """Returns the name, the bounds and the condition of a requirement."""
  text = requirement.replace('"', "'").replace(' ', '').replace(';', ',')
  bounds = re.sub(r'([a-zA-Z])([<>])', r'\1,\2', text, count=1)
  return frozenset(bounds.split(','))


def _listed(name: str) -> set[frozenset[str]]:
  """Reads what a file of requirements lists itself."""
  lines = (_ROOT / name).read_text().splitlines()
  return {_parts(line) for line in lines if line[:1] not in ('', '#', '-')}


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
        sys.executable,
        'wheel',
        '--no-deps',
        '--no-build-isolation',
        '--wheel-dir',
        cls.folder,
        str(source),
        cwd=cls.folder,
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
    recipes = {
        f'quatrain/{path.relative_to(_ROOT).as_posix()}'
        for path in (_ROOT / 'launch' / 'recipes').iterdir()
    }
    self.assertNotEmpty(recipes)
    scripts = {
        'quatrain/launch/cluster/slurm.sbatch',
        'quatrain/launch/web/page.html',
    }
    self.assertSameElements(
        self.names,
        expected | typed | recipes | scripts | {'quatrain/__init__.py'},
        'List each package in [tool.setuptools] of pyproject.toml.',
    )

  def test_it_depends_on_what_the_files_of_requirements_list(self):
    """Packages and bounds, in any order, without and with its extras."""
    wanted = {}
    for line in self.metadata.replace('"', "'").splitlines():
      if line.startswith('Requires-Dist: '):
        line = line.removeprefix('Requires-Dist: ')
        extra = re.search(r"extra == '(\w+)'", line)
        line = re.sub(r"( and|;) extra == '\w+'", '', line)
        wanted.setdefault(extra and extra[1], set()).add(_parts(line))
    self.assertSameElements(wanted, [None, 'test', *about.EXTRAS])
    for extra, packages in about.EXTRAS.items():  # Programs say where it is.
      for package in packages:
        self.assertTrue(
            any(
                package.replace('_', '-') in part
                for parts in wanted[extra]
                for part in parts
            )
        )
      self.assertLen(wanted[extra], len(packages))
    self.assertEqual(
        wanted[None] | wanted['launch'], _listed('requirements.txt')
    )
    self.assertEqual(wanted['test'], _listed('requirements-test.txt'))

  @classmethod
  @functools.cache
  def _site(cls) -> str:
    """Installs the wheel next to the packages of this environment."""
    target = os.path.join(cls.folder, 'site')
    _pip(
        sys.executable,
        'install',
        '--no-deps',
        '--target',
        target,
        str(cls.wheel),
        cwd=cls.folder,
    )
    return target

  def test_every_module_is_imported_from_another_directory(self):
    target = self._site()
    programs = {
        f'quatrain/launch/{name}.py' for name in (*_PROGRAMS, *_LAUNCHERS)
    }
    modules = [
        name.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
        for name in sorted(self.names - programs)
        if name.endswith('.py')
    ]
    printed = _run(
        sys.executable,
        '-c',
        _IMPORT_ALL,
        *modules,
        cwd=self.folder,
        PYTHONPATH=target,
        TF_CPP_MIN_LOG_LEVEL='3',
    )
    paths = [line for line in printed.splitlines() if line.startswith(target)]
    self.assertLen(paths, len(modules))
    version = _run(
        sys.executable,
        '-c',
        'import quatrain; print(quatrain.__version__)',
        cwd=self.folder,
        PYTHONPATH=target,
    )
    self.assertIn(f'\nVersion: {version.strip()}\n', self.metadata)

  def test_a_script_for_each_program(self):
    scripts = pathlib.Path(self._site(), 'bin')
    self.assertSameElements(
        [f'quatrain-{name}' for name in _PROGRAMS],
        [path.name for path in scripts.iterdir()],
    )
    for path in scripts.iterdir():
      said = _run(str(path), '--help', cwd=self.folder, PYTHONPATH=self._site())
      self.assertIn(f'  {path.name} ', said)
      if path.name != 'quatrain-diff':  # It has no flags of its own.
        self.assertRegex(said, r'\n  --\w+')

  def test_a_launcher_starts_the_programs_of_the_wheel(self):
    said = _run(
        sys.executable,
        '-m',
        'quatrain.launch.cluster.render',
        '--kind=jobset',
        '--image=a',
        '--num_workers=2',
        '--',
        '--workdir=/runs/a',
        cwd=self.folder,
        PYTHONPATH=self._site(),
    )
    self.assertIn('"quatrain.launch.train"', said)

  @pytest.mark.medium
  def test_a_run_of_parts_in_one_file(self):
    """Trained, resumed, scored, predicted, exported; and the same in Python."""
    folder = pathlib.Path(self._make_folder())
    (folder / 'parts.py').write_text(_PARTS)

    def script(name: str, *flags: str) -> str:
      return _run(
          f'{self._site()}/bin/quatrain-{name}',
          '--workdir=run',
          *flags,
          cwd=str(folder),
          PYTHONPATH=self._site(),
          CUDA_VISIBLE_DEVICES='-1',
      )

    script('train', *_OWN, '--num_epochs=1')
    said = script('train', *_OWN, '--num_epochs=2')
    self.assertIn('resumed from', said)
    self.assertIn('hook: 2 [', said)
    script('evaluate')
    result, scored = (
        json.loads((folder / 'run' / f'{name}.json').read_text())
        for name in ('result', 'evaluation_test')
    )
    self.assertEqual(
        result['test']['values']['own_accuracy'],
        scored['values']['own_accuracy'],
    )
    script('predict', '--output=predicted.jsonl')
    lines = (folder / 'predicted.jsonl').read_text().splitlines()
    self.assertLen(lines, result['num_test_examples'])
    self.assertIn('yes', script('export', '--formats=saved_model'))
    (folder / 'notebook.py').write_text(_NOTEBOOK)
    _run(
        sys.executable, 'notebook.py', cwd=str(folder), PYTHONPATH=self._site()
    )

  def test_a_recipe_is_found_from_any_folder(self):
    with self.assertRaisesRegex(AssertionError, "command line flag 'fast'"):
      _run(
          sys.executable,
          '-m',
          'quatrain.launch.train',
          '--flagfile=launch/recipes/fashion_mnist_mlp.flags',
          '--fast',
          cwd=self.folder,
          PYTHONPATH=self._site(),
      )

  @pytest.mark.slow
  def test_alone_in_an_empty_environment_it_runs_the_program_of_readme(self):
    environment = os.path.join(self.folder, 'venv')
    venv.create(environment, with_pip=True)
    python = os.path.join(environment, 'bin', 'python')
    _pip(python, 'install', '--quiet', str(self.wheel), cwd=self.folder)
    program = os.path.join(self.folder, 'program.py')
    pathlib.Path(program).write_text(readme.program())
    _run(python, program, cwd=self.folder)
    # Its programs say what they lack.
    with self.assertRaisesRegex(AssertionError, r'pip install .quatrain\[laun'):
      _run(
          os.path.join(environment, 'bin', 'quatrain-train'),
          '--workdir=run',
          cwd=self.folder,
      )
    wheel = f'{self.wheel}[launch]'
    _pip(python, 'install', '--quiet', wheel, cwd=self.folder)
    pathlib.Path(self.folder, 'parts.py').write_text(_PARTS)
    _run(
        os.path.join(environment, 'bin', 'quatrain-train'),
        '--workdir=run',
        *_OWN,
        '--num_epochs=1',
        cwd=self.folder,
    )


if __name__ == '__main__':
  absltest.main()
