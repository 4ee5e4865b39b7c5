"""Tests of run.sh and test.sh, with a Python that writes down what it runs."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import tempfile
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from launch import training_program
from tests import checkouts, docs_files, small_datasets
from tests.launch import runs

_RECIPES = sorted((docs_files.ROOT / 'launch' / 'recipes').glob('*.flags'))
_DEFAULT = 'launch/recipes/fashion_mnist_convnet.flags'
# What stands for a name of the reader's in README.
_PLACEHOLDERS = {
    'RECIPE': 'fashion_mnist_mlp',
    'DIRECTORY': 'runs/x',
    'SEED': '3',
}


def _commands():
  """Lists the commands of README and the guides, in sentences and blocks."""
  pages = [docs_files.README, *docs_files.GUIDES]
  text = ' '.join(' '.join(path.read_text().split()) for path in pages)
  found = re.findall(r'`(\./run\.sh [^`]*)`', text)
  for block in [each for path in pages for each in docs_files.blocks(path)]:
    found += re.findall(r'^(\./run\.sh [^#\n]*?) *(?:#.*)?$', block.text, re.M)
  found = [command for command in found if '--help' not in command]
  for name, value in _PLACEHOLDERS.items():
    found = [command.replace(name, value) for command in found]
  return sorted(set(found))


class _Checkout(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = checkouts.make()
    checkouts.add_environment(cls.folder, records=True)
    (cls.folder / 'sets' / 'fashion_mnist').mkdir(parents=True)

  def run_in(self, folder, *command):
    """Runs a command; returns the programs that it starts."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            # Nothing is downloaded, whatever the environment of this test is.
            'QUATRAIN_ARCHIVES_DIR': str(self.folder),
            **checkouts.environment(self.folder / 'sets'),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.out = done.stdout
    return checkouts.recorded(self.folder)

  def flags_of(self, *arguments, folder=None):
    """Returns the flags that run.sh hands on."""
    [(where, started)] = self.run_in(
        folder or self.folder, str(self.folder / 'run.sh'), *arguments
    )
    self.assertEqual(where, str(folder or self.folder))
    self.assertIn('launch.train', started[1])
    self.assertEqual(started[2], str(self.folder))
    return started[3:]

  def config_of(self, *arguments):
    """Returns what launch.train makes of flags."""
    with mock.patch.object(training_program, 'run', return_value=0) as run:
      ended = runs.call('train', *arguments)
    self.assertEqual((ended.code, ended.err), (0, ''))
    return run.call_args.args[0]


class RunTest(_Checkout):

  def test_the_recipe_is_before_the_flags_of_the_user(self):
    self.assertEqual(
        self.flags_of('--seed=1', '--optimizer=adam'),
        [
            f'--flagfile={self.folder}/{_DEFAULT}',
            '--seed=1',
            '--optimizer=adam',
        ],
    )
    self.assertLen(self.flags_of(), 1)

  @parameterized.parameters(
      (['--flagfile=own'],),
      (['--seed=1', '--flagfile', 'own'],),
      (['-flagfile=own'],),
  )
  def test_a_flag_file_of_the_user_is_instead_of_the_recipe(self, arguments):
    with tempfile.TemporaryDirectory() as folder:
      (pathlib.Path(folder) / 'own').write_text('--workdir=x\n')
      self.assertEqual(self.flags_of(*arguments, folder=folder), arguments)

  @parameterized.named_parameters((path.stem, path) for path in _RECIPES)
  def test_each_recipe_is_that_of_launch_train(self, path):
    flags = self.flags_of(f'--flagfile=launch/recipes/{path.name}', '--seed=7')
    self.assertEqual(
        self.config_of(*flags), self.config_of(f'--flagfile={path}', '--seed=7')
    )

  def test_the_folder_of_the_caller(self):
    with tempfile.TemporaryDirectory(prefix='a b') as name:
      folder = pathlib.Path(name).resolve()
      for package in ('launch', 'core', 'pipelines'):
        (folder / package).mkdir()
        (folder / package / '__init__.py').write_text('raise SystemExit(7)')
      flags = self.flags_of('--workdir=relative', folder=folder)
      self.assertIn('--workdir=relative', flags)

  def test_archives_that_were_downloaded(self):
    archives = self.folder / (
        '.data/dataset-fashion-mnist/usr/share/datasets/fashion-mnist'
    )
    archives.mkdir(parents=True)
    self.addCleanup(archives.rmdir)
    given = f'--archives_dir={archives}'
    self.assertEqual(self.flags_of('--seed=1')[1:], [given, '--seed=1'])
    file = self.folder / 'other.flags'
    file.write_text('--dataset=mnist\n')
    for other in ('--archives_dir=x', '--flagfile=other.flags'):
      self.assertNotIn(given, self.flags_of(other))
    file.write_text('--dataset=fashion_mnist\n')
    self.assertIn(given, self.flags_of('--flagfile=other.flags'))

  def test_there_are_commands_in_the_pages(self):
    self.assertNotEmpty(_commands())

  @parameterized.parameters(*_commands())
  def test_a_command_of_the_pages(self, command):
    flags = self.flags_of(*command.split()[1:])
    self.config_of(
        *[flag.replace('=launch/', f'={self.folder}/launch/') for flag in flags]
    )


class EnvironmentTest(_Checkout):

  def _ask(self, code):
    return checkouts.in_shell(self.folder, f'source .ci/environment.sh; {code}')

  @parameterized.parameters(
      ('proc/driver/nvidia/version', True),
      ('dev/nvidia0', True),
      ('dev/nvidia12', True),
      ('dev/nvidia-modeset', False),
      ('dev/x', False),
  )
  def test_a_driver(self, name, expected):
    with tempfile.TemporaryDirectory() as root:
      path = pathlib.Path(root) / name
      path.parent.mkdir(parents=True)
      path.touch()
      found = self._ask(f'has_nvidia_driver {root} && echo yes || echo no')
    self.assertEqual(found, 'yes\n' if expected else 'no\n')

  @parameterized.parameters('requirements.txt', 'requirements-test.txt')
  def test_cuda_is_brought_where_there_is_one(self, name):
    without, driver = (
        self._ask(
            f'has_nvidia_driver() {{ return {code}; }}; '
            f'requirements_of requirements.txt {name}; state_of {name} >&2'
        )
        for code in (1, 0)
    )
    self.assertEqual(
        without,
        (self.folder / 'requirements.txt').read_text()
        + (self.folder / name).read_text(),
    )
    changed = [
        (before, after)
        for before, after in zip(without.splitlines(), driver.splitlines())
        if before != after
    ]
    self.assertNotEmpty(changed)
    for before, after in changed:
      self.assertStartsWith(before, 'tensorflow>=')
      self.assertEqual(
          after, before.replace('tensorflow', 'tensorflow[and-cuda]')
      )

  def test_an_environment_without_cuda_is_not_finished_there(self):
    stamps = self._ask(
        'state_of requirements.txt; has_nvidia_driver() { return 0; }; '
        'state_of requirements.txt'
    )
    self.assertLen(set(stamps.splitlines()), 2)


class TestShTest(_Checkout):

  def test_what_it_runs(self):
    started = [
        arguments for _, arguments in self.run_in(self.folder, './test.sh')
    ]
    self.assertEqual(
        [arguments[1] for arguments in started],
        ['ruff', 'pyink', 'mypy', 'pytest'],
    )
    self.assertIn('not medium and not slow', started[-1])
    self.assertIn('== pytest', self.out)
    *_, (_, pytest_) = self.run_in(self.folder, './test.sh', '--medium', '-x')
    self.assertIn('not slow', pytest_)
    *_, (_, pytest_) = self.run_in(self.folder, './test.sh', '--all', '-x')
    self.assertNotIn('not slow', pytest_)
    self.assertEqual(pytest_[-1], '-x')
    written = self.run_in(self.folder, './test.sh', '--write')
    self.assertEqual(
        [arguments[1] for _, arguments in written],
        ['ruff', 'pyink'],
    )


class ProcessTest(parameterized.TestCase):
  """What a person changes first, for real, on a small set."""

  @parameterized.parameters(
      ('--optimizer=adam',),
      ('--schedule=cosine',),
      ('--loss=softmax_focal_loss',),
      ('--model=speednet',),
      ('--model=mlp',),
      (f'--flagfile={docs_files.ROOT}/launch/recipes/fashion_mnist_mlp.flags',),
  )
  @pytest.mark.slow
  def test_trains(self, argument):
    checkout = checkouts.make()
    checkouts.add_environment(checkout)
    folder = pathlib.Path(runs.scratch(self))
    (folder / 'launch').mkdir()
    small_datasets.write(
        folder / 'sets',
        'fashion_mnist',
        num_train=280,
        num_test=61,
        image_shape=(28, 28, 1),
        num_classes=10,
        version='3.0.1',
    )
    done = subprocess.run(
        [
            checkout / 'run.sh',
            argument,
            '--workdir=runs/x',
            '--data_dir=sets',
            '--num_steps=2',
        ],
        cwd=folder,
        env=checkouts.environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    kept = json.loads((folder / 'runs' / 'x' / 'config.json').read_text())
    name, _, value = argument.removeprefix('--').partition('=')
    if name != 'flagfile':
      self.assertEqual(kept['config'][name], value)
      self.assertIn(f'launch.train: {argument} replaces', done.stdout)
    self.assertTrue((folder / 'runs' / 'x' / 'result.json').exists())


if __name__ == '__main__':
  absltest.main()
