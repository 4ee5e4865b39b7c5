"""Tests of README and docs/: snippets run, links lead somewhere, tables agree.

Every ```python and ```sh block of README and of the guides runs, in the order
of its page, in a folder like a checkout. Commands run as they stand there: a
small set stands in for Fashion-MNIST, and free ports for `_PORTS`. The examples
of the pages made from docstrings (```pycon) run too; ```text does not. In the
tutorial it is what the program above it prints.
"""

from __future__ import annotations

import doctest
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import config, options
from launch.cluster import ports as ports_lib
from pipelines import sources
from tests import checkouts, docs_files, small_datasets

_LANGUAGES = ('python', 'pycon', 'sh', 'text')
# It would run these tests again: run_sh_test has what it starts.
_EXEMPT = './test.sh'
# Other tests on this machine may run two workers as well.
_PORTS = ('12345', '23456')
_NUMBER = re.compile(r'\d+\.\d+')
_END_OF_A_CELL = '\x1e'
# What programs other than those of launch are given.
_OTHER_FLAGS = (
    'all', 'file', 'filename', 'gpus', 'logdir', 'model_base_path',
    'model_name', 'nodes', 'ntasks', 'rest_api_port', 'signal', 'tag', 'time',
)
_LAUNCH_GUIDE = docs_files.ROOT / 'docs' / 'guide_launch.md'
_TRAINING_GUIDE = docs_files.ROOT / 'docs' / 'guide_training.md'
_PORTING_GUIDE = docs_files.ROOT / 'docs' / 'guide_porting.md'
_RECIPES = docs_files.ROOT / 'docs' / 'guide_recipes.md'
_CLUSTER_GUIDE = docs_files.ROOT / 'docs' / 'guide_cluster.md'
_REPRODUCIBILITY = docs_files.ROOT / 'docs' / 'guide_reproducibility.md'
_HOOKS = docs_files.ROOT / 'docs' / 'guide_hooks.md'
_SWEEPS = docs_files.ROOT / 'docs' / 'guide_sweeps.md'
_DATA_GUIDE = docs_files.ROOT / 'docs' / 'guide_data.md'
_EXPORT_GUIDE = docs_files.ROOT / 'docs' / 'guide_export.md'
_TUTORIAL = docs_files.ROOT / 'docs' / 'guide_tutorial.md'
_TASKS_GUIDE = docs_files.ROOT / 'docs' / 'guide_tasks.md'


@functools.cache
def _tiny_fashion_mnist() -> str:
  """Writes a set of Fashion-MNIST's name, shape and version."""
  folder = tempfile.TemporaryDirectory()
  small_datasets.write(
      folder.name,
      'fashion_mnist',
      num_train=280,
      num_test=61,
      image_shape=(28, 28, 1),
      num_classes=10,
      version='3.0.1',
  )
  _tiny_fashion_mnist.folder = folder  # Removed with the process.
  return folder.name


def _make_folder() -> pathlib.Path:
  """Makes a checkout by links, with `quatrain` as the wheel installs it."""
  folder = checkouts.make()
  checkouts.add_environment(folder)
  (folder / 'quatrain').mkdir()
  for name in ('core', 'pipelines'):
    (folder / 'quatrain' / name).symlink_to(docs_files.ROOT / name)
  return folder


def _steps(path: pathlib.Path) -> list[docs_files.Block]:
  """Lists what runs of a page; neighbours of a language are one program."""
  steps: list[docs_files.Block] = []
  for block in docs_files.blocks(path):
    if block.language not in ('python', 'sh'):
      continue
    if block.text.startswith(_EXEMPT):
      continue
    if steps and steps[-1].language == block.language:
      block = block._replace(text=f'{steps.pop().text}\n{block.text}')
    steps.append(block)
  return steps


class _Ran(NamedTuple):
  """Where the blocks of a page ran, and what its Python printed."""

  folder: pathlib.Path
  printed: str


def _run(path: pathlib.Path) -> _Ran:
  """Runs the blocks of a page."""
  folder, printed = _make_folder(), ''
  environment = checkouts.environment(_tiny_fashion_mnist())
  ports = dict(zip(_PORTS, map(str, ports_lib.free(len(_PORTS)))))
  for step in _steps(path):
    text = re.sub('|'.join(_PORTS), lambda port: ports[port[0]], step.text)
    program = {
        'sh': ['bash', '-euxo', 'pipefail', '-c', text],
        'python': [sys.executable, '-c', text],
    }[step.language]
    ended = subprocess.run(
        program,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    if ended.returncode:
      raise AssertionError(f'{path.name}: {text}\n{ended.stdout}')
    printed += ended.stdout if step.language == 'python' else ''
  return _Ran(folder, printed)


def _read(path: pathlib.Path) -> dict:
  return json.loads(path.read_text())


class SnippetTest(parameterized.TestCase):

  @parameterized.parameters(
      _TRAINING_GUIDE, _PORTING_GUIDE, _RECIPES, _DATA_GUIDE, _TASKS_GUIDE
  )
  def test_a_guide_runs(self, path):
    _run(path)

  def test_readme_runs_and_the_fields_of_its_run_are_told(self):
    ran = _run(docs_files.README)
    self._assert_printed(ran.printed)
    run = ran.folder / 'runs' / 'mlp'
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
    """Compares what README's program printed with what README shows."""
    [shown] = [
        block.text
        for block in docs_files.blocks(docs_files.README)
        if block.language == 'text'
    ]
    lines = [line for line in printed.splitlines() if line[:5] == 'loss ']
    printed = '\n'.join([*lines, ''])
    self.assertEqual(*(_NUMBER.sub('', text) for text in (shown, printed)))
    numbers = [
        [float(number) for number in _NUMBER.findall(text)]
        for text in (shown, printed)
    ]
    np.testing.assert_allclose(*numbers, atol=0.05)

  @pytest.mark.slow
  def test_the_launch_guide_runs(self):
    folder, _ = _run(_LAUNCH_GUIDE)
    done = {path.parent.name for path in folder.glob('runs/*/result.json')}
    self.assertEqual(
        done,
        {
            'first', 'second', 'recipe', 'replaced', 'replicas', 'compiled',
            'again', 'own', 'workers', 'corners', 'python', 'watched',
        },
    )
    alone, replicas, workers = (
        _read(folder / 'runs' / name / 'result.json')['last_validation']
        for name in ('again', 'replicas', 'workers')
    )
    for other in (replicas, workers):
      self.assertAlmostEqual(other['loss'], alone['loss'], places=4)

  @pytest.mark.slow
  def test_the_guide_of_clusters_runs(self):
    folder, printed = _run(_CLUSTER_GUIDE)
    self.assertEqual(printed, '')
    result = _read(folder / 'runs' / 'two' / 'result.json')
    self.assertEqual(
        result['shapes'], [{'step': 0, 'num_workers': 2, 'num_replicas': 2}]
    )
    for name in ('Dockerfile.workers', 'first.json'):
      self.assertNotEmpty((folder / name).read_text())

  @pytest.mark.slow
  def test_the_guide_of_reproducibility_runs(self):
    folder, _ = _run(_REPRODUCIBILITY)
    first, again = (
        _read(folder / 'runs' / name / 'result.json')['weights_sha256']
        for name in ('first', 'again')
    )
    self.assertEqual(first, again)

  @pytest.mark.slow
  def test_the_guide_of_exports_runs(self):
    folder, printed = _run(_EXPORT_GUIDE)
    self.assertNotEmpty(printed)
    for name, num_files in (
        ('clothes', 4), ('houses', 3), ('films', 3), ('spots', 3),
    ):
      report = _read(folder / 'runs' / name / 'exports' / 'parity.json')
      self.assertLen(report['files'], num_files)
      self.assertTrue(all(row['agrees'] for row in report['exports']))

  @pytest.mark.slow
  def test_the_guide_of_hooks_runs(self):
    folder, _ = _run(_HOOKS)
    stopped = {
        path.parent.name: _read(path)['stopped']['hook']
        for path in folder.glob('runs/*/result.json')
    }
    self.assertEqual(stopped, {
        'stopped_early': 'EarlyStopping', 'my_hooks': 'good_enough',
    })

  @pytest.mark.slow
  def test_the_guide_of_sweeps_runs(self):
    folder, printed = _run(_SWEEPS)
    self.assertLen(printed.splitlines(), 4)
    self.assertLen(list(folder.glob('sweeps/mlp/trials/*/*/result.json')), 8)

  @pytest.mark.slow
  def test_examples_run_with_what_their_page_says_is_imported(self):
    report = []
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    # AutoGraph needs a module in which to find the source of functions.
    names = {'tf': tf, '__name__': docs_files.__name__}
    for path in docs_files.ALL:
      for block in docs_files.blocks(path):
        if block.language == 'pycon':
          test = parser.get_doctest(
              block.text, names, path.name, str(path), 0
          )
          runner.run(test, out=report.append)
    self.assertEqual(runner.summarize(verbose=False).failed, 0, report)

  @parameterized.parameters(*docs_files.GUIDES, docs_files.README)
  def test_every_block_has_a_language_that_says_whether_it_runs(self, path):
    text = path.read_text()
    found = docs_files.blocks(path)
    self.assertEqual(2 * len(found), text.count('```'))
    for block in found:
      self.assertIn(block.language, _LANGUAGES, block.text)


class TutorialTest(absltest.TestCase):

  def _run_cells(self, data_dir):
    """Runs the page as one program; yields each cell and what it printed."""
    folder = _make_folder()
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
    folder, ran = self._run_cells(_tiny_fashion_mnist())
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


class LinkTest(parameterized.TestCase):

  @parameterized.parameters(*docs_files.ALL)
  def test_links_lead_somewhere(self, path):
    for target in docs_files.links(path):
      if '://' in target:
        continue
      name, _, anchor = target.partition('#')
      other = (path.parent / name).resolve() if name else path
      self.assertTrue(other.exists(), f'{path.name}: {target}')
      if anchor:
        self.assertIn(anchor, docs_files.anchors(other), path.name)

  @parameterized.parameters(*docs_files.ALL)
  def test_headings_have_addresses_of_their_own(self, path):
    if path.name != 'CHANGELOG.md':
      found = docs_files.anchors(path)
      self.assertLen(set(found), len(found), found)


class FlagTest(absltest.TestCase):

  def _defined(self, program):
    text = (docs_files.ROOT / 'launch' / f'{program}.py').read_text()
    found = set(re.findall(r"DEFINE_\w+\(\s*'(\w+)'", text))
    for names in re.findall(r'config_lib\.define_flags\(([^)]*)\)', text):
      own = re.findall(r"'(\w+)'", names)
      found.update(own or options.declared(config.Config))
    return found

  def test_flags_that_are_named_exist(self):
    launch = docs_files.ROOT / 'launch'
    programs = [
        str(path.relative_to(launch).with_suffix(''))
        for path in launch.rglob('*.py')
    ]
    known = {'flagfile', 'help', *_OTHER_FLAGS}
    known = known.union(*map(self._defined, programs))
    for path in (docs_files.README, *docs_files.GUIDES):
      for flag in re.findall(r'(?<!\S)`?--(\w+)', path.read_text()):
        if flag.removeprefix('no') not in known:  # `--noFLAG` is False.
          self.assertIn(flag, known, path.name)

  def test_the_guide_names_every_flag_of_training(self):
    text = _LAUNCH_GUIDE.read_text()
    missing = {f for f in self._defined('train') if f'`--{f}`' not in text}
    self.assertEmpty(missing, 'Add them to the table of docs/guide_launch.md.')


if __name__ == '__main__':
  absltest.main()
