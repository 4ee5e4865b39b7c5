"""Tests of SECURITY.md: what programs import, run, write and connect to."""

from __future__ import annotations

import ast
import functools
import json
import pathlib
import shutil
import site
import stat
import sys
import sysconfig

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from launch.lookup import code_files, imports
from tests.launch import runs

_PACKAGES = ('core', 'pipelines', 'launch')
_ROOTS = tuple(
    {
        str(pathlib.Path(root).resolve())
        for root in (
            runs.ROOT,
            sys.base_prefix,
            sys.prefix,
            sysconfig.get_path('stdlib'),
            *site.getsitepackages(),
        )
    }
    | {str(runs.ROOT), sys.prefix}
)
# What runs whatever it is given, or reads what may.
_DANGEROUS = (
    'pickle',
    'cPickle',
    'dill',
    'cloudpickle',
    'joblib',
    'shelve',
    'marshal',
    'yaml',
    'pty',
)
_STARTED = {'git', 'fc-list', 'uname'}


@functools.cache
def _audited(*names):
  """Returns a folder where programs ran, and what they did there."""
  folder = pathlib.Path(runs.kept_directory()).resolve()
  if 'train' not in names:
    shutil.copytree(runs.finished(), folder / 'run')
  ended = runs.finish(
      runs.start_python(
          '-m',
          'tests.launch.audited',
          str(folder),
          runs.data_dir(),
          *names,
          environment={
              'PYTHONDONTWRITEBYTECODE': '1',
              'MPLCONFIGDIR': str(folder / 'matplotlib'),
              'TMPDIR': str(folder),
              'XDG_CACHE_HOME': str(folder / 'cache'),
          },
      ),
      timeout_s=600,
  )
  if ended.code:
    raise AssertionError(ended)
  return folder, json.loads((folder / 'events.json').read_text())


class AuditTest(absltest.TestCase):
  """What programs do with the run of somebody else."""

  names = ('evaluate', 'diff')

  def setUp(self):
    super().setUp()
    self.folder, self.told = _audited(*self.names)

  def events(self, *kinds):
    for told in self.told:
      for event, what, caller in told['events']:
        if event in kinds:
          yield told['program'], event, what, caller

  def is_of_a_root(self, path):
    """Returns whether a file is of the tree, of Python or of a package.

    TensorFlow writes what it makes of a function that is there into a file.
    """
    made = f'{self.folder}/__autograph_generated_file'
    return path.startswith((*_ROOTS, '<frozen ', made))

  def test_the_programs_ended_well(self):
    self.assertEqual(
        [(each['program'], each['code'], each['err']) for each in self.told],
        [(name, 0, '') for name in self.names],
    )
    # The hook saw what there is to see.
    self.assertTrue(any(self.events('import')))
    self.assertTrue(any(self.events('exec')))
    writes = [what for _, _, what, _ in self.events('open')]
    self.assertTrue(any('evaluation_test.json' in what for what in writes))

  def test_no_module_of_elsewhere(self):
    for told in self.told:
      for path in told['modules']:
        self.assertTrue(self.is_of_a_root(path), f'{told["program"]}: {path}')

  def test_no_code_of_elsewhere_is_run(self):
    """What is made on the spot, as by dataclasses, is made by what is here."""
    for program, _, what, caller in self.events('exec'):
      is_made = what.startswith('<') and not what.startswith('<stdin')
      source = caller if is_made else what
      self.assertTrue(
          self.is_of_a_root(source), f'{program}: {what} by {caller}'
      )

  def test_no_object_is_unpickled(self):
    for each in self.events('pickle.find_class'):
      self.fail(str(each))

  def test_no_library_of_elsewhere(self):
    for program, _, what, caller in self.events('ctypes.dlopen'):
      is_here = self.is_of_a_root(what) or not what.startswith('/')
      self.assertTrue(is_here, f'{program}: {what} by {caller}')

  def test_only_these_programs_are_started(self):
    found = set()
    for program, event, what, caller in self.events(
        'subprocess.Popen',
        'os.system',
        'os.exec',
        'os.posix_spawn',
        'os.spawn',
        'os.fork',
        'os.forkpty',
        'pty.spawn',
    ):
      name = pathlib.Path(what.split()[0]).name
      self.assertIn(name, _STARTED, f'{program}: {event} {what} by {caller}')
      found.add(name)
    if 'train' in self.names:
      self.assertIn('git', found)

  def test_nothing_connects(self):
    for each in self.events(
        'socket.connect',
        'socket.bind',
        'socket.sendto',
        'socket.getaddrinfo',
        'socket.gethostbyname',
        'urllib.Request',
        'http.client.connect',
        'ftplib.connect',
        'smtplib.connect',
    ):
      self.fail(str(each))
    for told in self.told:
      self.assertEqual(told['sockets'], [], told['program'])

  @pytest.mark.medium
  def test_files_are_written_where_they_belong(self):
    for program, _, what, caller in self.events('open'):
      if what.isdigit() or what in ('/dev/null', '/dev/tty'):
        continue  # A file that is open already.
      if what.startswith(runs.data_dir()) and '/.decoded/' in what:
        continue  # Decoded images are kept with the set, by its first reader.
      self.assertStartsWith(what, str(self.folder), f'{program} by {caller}')

  def test_nothing_is_world_writable(self):
    """Under the umask 0, which the programs ran with."""
    paths = [
        *(self.folder / 'run').rglob('*'),
        *self.folder.glob('predictions.csv'),
        *(self.folder / 'cache').rglob('*'),
    ]
    self.assertGreater(len(paths), 10)
    for path in paths:
      if not path.is_symlink():
        self.assertFalse(path.stat().st_mode & stat.S_IWOTH, path)


@pytest.mark.slow
class WholeAuditTest(AuditTest):
  """What they do with a run from its start on."""

  names = ('train', 'resume', 'evaluate', 'predict', 'export', 'verify', 'diff')


def _sources():
  for package in _PACKAGES:
    for path in sorted((runs.ROOT / package).rglob('*.py')):
      yield str(path.relative_to(runs.ROOT)), ast.parse(path.read_text())


class SourceTest(absltest.TestCase):

  def test_nothing_that_runs_what_it_reads(self):
    """But for imports.py, which reads again a file that a flag names."""
    for name, tree in _sources():
      for node in ast.walk(tree):
        where = f'{name}:{getattr(node, "lineno", 0)}'
        if isinstance(node, ast.Import):
          for alias in node.names:
            self.assertNotIn(alias.name.split('.')[0], _DANGEROUS, where)
        elif isinstance(node, ast.ImportFrom) and not node.level:
          self.assertNotIn(node.module.split('.')[0], _DANGEROUS, where)
        elif isinstance(node, ast.Call):
          called = ast.unparse(node.func)
          if name != 'launch/lookup/imports.py':
            self.assertNotIn(called, ('exec', 'eval', '__import__'), where)
          self.assertNotIn(called, ('os.system', 'os.popen'), where)
          given = {k.arg: ast.unparse(k.value) for k in node.keywords}
          self.assertNotEqual(given.get('shell'), 'True', where)
          if called in ('np.load', 'numpy.load'):
            self.assertEqual(given.get('allow_pickle'), 'False', where)


_MODULE = """
import pathlib
pathlib.Path({trap!r}).touch()
def loss(labels, logits):
  raise ValueError
"""


class _Trap:
  """Makes a file when it is unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


class PoisonTest(parameterized.TestCase):
  """Runs of somebody else that were made to do harm."""

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self)).resolve()
    self.run_dir = self.root / 'run'
    shutil.copytree(runs.finished(), self.run_dir)
    self.trap = self.root / 'trapped'
    self.addCleanup(runs.forget, 'poison')

  def module(self, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_MODULE.format(trap=str(self.trap)))
    return path

  def name(self, path, kind='loss', name='loss', part=None, digest=None):
    """Has the run's config name a part, and record its file."""
    config = self.run_dir / 'config.json'
    values = json.loads(config.read_text())
    part = part or str(path)
    is_several = kind in ('metrics', 'hooks')
    values['config'][kind] = (
        [f'{part}:{name}'] if is_several else (f'{part}:{name}')
    )
    argument = kind.removesuffix('s') if is_several else kind
    values['config'][f'{argument}_arg'] = {}
    values['code'] = {
        part: {
            'path': str(path),
            'sha256': digest or imports.digest_now(pathlib.Path(path)),
        }
    }
    config.write_text(json.dumps(values))

  def refused(
      self,
      *messages,
      programs=('evaluate', 'predict', 'export', 'report', 'reproduce'),
  ):
    for program in programs:
      place = [f'--workdir={self.run_dir}']
      if program == 'predict':
        place.append(f'--output={self.root}/a.csv')
      if program == 'report':
        place = [str(self.run_dir)]
      if program == 'reproduce':
        place = [str(self.run_dir), f'--workdir={self.root}/again']
      ended = runs.call(program, *place, f'--data_dir={runs.data_dir()}')
      self.assertEqual((ended.code, ended.out), (2, ''), (program, ended))
      for message in messages:
        self.assertIn(message, ended.err, program)
      self.assertEqual(ended.err.count('\n'), 1, ended.err)
      self.assertFalse(self.trap.exists(), program)

  @parameterized.parameters(
      'loss',
      'model',
      'dataset',
      'task',
      'optimizer',
      'schedule',
      'augment',
      'metrics',
      'hooks',
  )
  def test_code_in_the_work_directory(self, kind):
    path = self.module(self.run_dir / 'poison.py')
    for named in (path, self.root / 'elsewhere' / '..' / 'run' / 'poison.py'):
      self.name(named, kind, digest=imports.digest_now(path))
      self.refused('is in the work directory itself')

  def test_code_that_is_not_what_is_recorded(self):
    path = self.module(self.root / 'mine' / 'poison.py')
    self.name(path, digest='0' * 64)
    self.refused(f'{path}, which the run uses, has changed')
    self.name(path)
    path.unlink()
    self.refused(f'{path}, which the run uses, is missing')

  def test_code_that_is_not_recorded(self):
    path = self.module(self.root / 'mine' / 'poison.py')
    for part in (str(path), 'poison', 'os', 'subprocess'):
      self.name(path, part=part)
      config = self.run_dir / 'config.json'
      values = json.loads(config.read_text())
      values['code'] = {}
      config.write_text(json.dumps(values))
      self.refused(f'the file of {part}:loss is not recorded')

  @parameterized.parameters(
      (sys.modules['subprocess'].__file__, 'call', 'Python'),
      (np.__file__, 'load', 'an installed package'),
      (imports.__file__, 'module_of', 'Quatrain'),
  )
  def test_functions_that_are_there_already(self, path, name, whose):
    """Anyone knows their hash, and they call any function they are given."""
    path = pathlib.Path(path).resolve()
    self.assertEqual(code_files.origin(path), whose)
    for part in (str(path), 'poison', path.stem):
      self.name(path, 'model', name, part)
      self.refused(f'{path}, a file of {whose}, which a run could use')

  def test_objects_in_files_of_arrays(self):
    for name in ('examples.npz', 'predictions_test.npz'):
      np.savez(self.run_dir / name, test=np.array([_Trap(self.trap)], object))
    place = f'--workdir={self.run_dir}', f'--data_dir={runs.data_dir()}'
    ended = runs.call('evaluate', *place, '--verify')
    self.assertEqual((ended.code, ended.err), (0, ''))
    other = self.root / 'other'
    shutil.copytree(self.run_dir, other)
    config = other / 'config.json'
    values = json.loads(config.read_text())
    values['data']['fingerprint']['test'] = 'other'
    config.write_text(json.dumps(values))
    ended = runs.call('diff', str(self.run_dir), str(other))
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertFalse(self.trap.exists())

  def test_names_that_lead_elsewhere(self):
    """Of checkpoints, of which the steps alone count, and of plain parts."""
    other = shutil.copytree(runs.finished(), self.root / 'other')
    checkpoints = self.run_dir / 'checkpoints'
    for file in checkpoints.glob('ckpt-*'):
      file.unlink()
    (checkpoints / 'checkpoint').write_text(
        f'model_checkpoint_path: "{other}/checkpoints/ckpt-40"\n'
        f'all_model_checkpoint_paths: "{other}/checkpoints/ckpt-40"\n'
        'all_model_checkpoint_paths: "../../other/checkpoints/ckpt-20"\n'
    )
    self.refused('no checkpoint', programs=('evaluate',))
    config = self.run_dir / 'config.json'
    before = config.read_text()
    for field, value in (
        ('model', '../other/model'),
        ('loss', '$(touch x)'),
        ('dataset', '../../other'),
        ('task', '../task'),
    ):
      values = json.loads(before)
      values['config'][field] = value
      config.write_text(json.dumps(values))
      self.refused(programs=('evaluate',))


if __name__ == '__main__':
  absltest.main()
