"""Compiled programs are kept, counted, and not compiled again."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from core import processor
from launch.machine import compilation_cache
from tests.launch import runs

_MESSAGE = 'XLA compiled 1 more program(s) after the first step'
_FLAG = '--tf_xla_persistent_cache_directory='

# A run that ends with an error in its third epoch.
_FAILING = """
from launch import train, programs, workdir
append = workdir.Workdir.append_metrics

def failing(self, row):
  if row['step'] > 42:
    raise OSError('full')
  append(self, row)

workdir.Workdir.append_metrics = failing
programs.parse(['train', *{}])
raise SystemExit(programs.call(train.main))
"""
# A run whose third epoch has another number of rows than those before.
_CHANGING = """
import tensorflow as tf
from launch import train, programs
from pipelines import in_memory
steady = in_memory.InMemorySplit.train_keys

def changing(self, seed, epoch, global_batch_size):
  rows = steady(self, seed, epoch, global_batch_size)
  return tf.pad(rows, [[0, epoch // 2], [0, 0]])

in_memory.InMemorySplit.train_keys = changing
programs.parse(['train', *{}])
raise SystemExit(programs.call(train.main))
"""


class CompilationCacheTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.folder = self.root / 'a' / 'cache'
    self.enter_context(mock.patch.dict(os.environ))
    for name in ('TF_XLA_FLAGS', 'XLA_FLAGS'):
      os.environ.pop(name, None)

  def process(self, folder=None, **options):
    """Makes the cache of a process, and what XLA would write to."""
    os.environ.pop('TF_XLA_FLAGS', None)
    cache = compilation_cache.CompilationCache(
        str(self.folder) if folder is None else folder, **options
    )
    flags = os.environ['TF_XLA_FLAGS']
    self.assertStartsWith(flags, _FLAG)
    return cache, pathlib.Path(flags.removeprefix(_FLAG))

  def kept(self):
    return sorted(path.name for path in self.folder.glob('*/*'))

  def test_keeps_links_and_counts(self):
    cache, mine = self.process()
    self.assertEqual(cache.count(), 0)
    (mine / 'one.pb').write_text('1')
    self.assertEqual(cache.count(), 1)
    (mine / 'two.pb').write_text('2')
    (mine / 'notes.txt').write_text('no program')
    self.assertEqual([cache.count(), cache.count()], [2, 2])
    self.assertEqual(self.kept(), ['one.pb', 'two.pb'])
    other, linked = self.process()
    self.assertNotEqual(linked, mine)
    self.assertEqual((linked / 'two.pb').read_text(), '2')
    self.assertEqual(other.count(), 0)
    (linked / 'three.pb').write_text('3')
    self.assertEqual(other.count(), 1)
    self.assertEqual(cache.count(), 2)
    self.assertEqual(self.kept(), ['one.pb', 'three.pb', 'two.pb'])

  def test_a_reader_adds_nothing(self):
    cache, mine = self.process(is_read_only=True)
    (mine / 'lost.pb').write_text('0')
    self.assertEqual(cache.count(), 1)
    self.assertFalse(self.folder.exists())
    cache, mine = self.process()
    (mine / 'one.pb').write_text('1')
    cache.count()
    reader, linked = self.process(is_read_only=True)
    self.assertEqual((linked / 'one.pb').read_text(), '1')
    (linked / 'two.pb').write_text('2')
    self.assertEqual(reader.count(), 1)
    self.assertEqual(self.kept(), ['one.pb'])

  def test_what_was_not_read_for_longest_makes_room(self):
    cache, mine = self.process()
    for name in 'abcd':
      (mine / f'{name}.pb').write_bytes(bytes(100))
    cache.count()
    [folder] = self.folder.iterdir()
    for name, read in zip('abcd', (30, 10, 40, 20)):
      os.utime(folder / f'{name}.pb', (read, 5))
    older = self.folder / 'another_machine'
    older.mkdir()
    (older / 'e.pb').write_bytes(bytes(100))
    os.utime(older / 'e.pb', (25, 5))
    with mock.patch.object(compilation_cache, '_MAX_BYTES', 300):
      _, linked = self.process()
    self.assertEqual(self.kept(), ['a.pb', 'c.pb', 'e.pb'])
    self.assertEqual(
        sorted(path.name for path in linked.glob('*.pb')), ['a.pb', 'c.pb']
    )

  def test_a_program_that_another_process_deleted(self):
    cache, mine = self.process()
    (mine / 'one.pb').write_text('1')
    cache.count()
    other, linked = self.process()
    [path] = self.folder.glob('*/one.pb')
    path.unlink()
    self.assertFalse((linked / 'one.pb').exists())  # Hence compiled again.
    (linked / 'new').write_text('2')
    (linked / 'new').rename(linked / 'one.pb')
    self.assertEqual(other.count(), 1)
    self.assertEqual(path.read_text(), '2')

  def test_two_processes_that_compile_the_same(self):
    caches = [self.process(), self.process()]
    for text, (cache, mine) in enumerate(caches):
      (mine / 'one.pb').write_text(str(text))
      self.assertEqual(cache.count(), 1)
    [path] = self.folder.glob('*/one.pb')
    self.assertEqual(path.read_text(), '0')

  def test_another_machine_has_programs_of_its_own(self):
    for features in ({'sse2'}, {'sse2', 'avx2'}, set()):
      with mock.patch.object(processor, 'features', return_value=features):
        cache, mine = self.process()
      self.assertEmpty(list(mine.glob('*.pb')))
      (mine / 'one.pb').write_text('1')
      cache.count()
    self.assertLen(list(self.folder.iterdir()), 3)
    os.environ['XLA_FLAGS'] = '--xla_cpu_enable_fast_math=true'
    self.assertEmpty(list(self.process()[1].glob('*.pb')))
    self.assertLen(list(self.folder.iterdir()), 4)

  def test_nothing_is_kept_where_nothing_can_be_written(self):
    (self.root / 'file').write_text('in the way')
    for folder in ('', str(self.root / 'file' / 'cache'), '~nosuchuser/x'):
      cache, mine = self.process(folder)
      (mine / 'one.pb').write_text('1')
      self.assertEqual(cache.count(), 1)
    with mock.patch.object(os, 'access', return_value=False):
      cache, mine = self.process()
    (mine / 'one.pb').write_text('1')
    self.assertEqual((cache.count(), self.kept()), (1, []))

  def test_a_full_disk_ends_nothing(self):
    cache, mine = self.process()
    (mine / 'one.pb').write_text('1')
    with mock.patch.object(os, 'fsync', side_effect=OSError('full')):
      self.assertEqual(cache.count(), 1)
    self.assertEqual(self.kept(), [])

  @parameterized.parameters(
      ('.', 0o770), ('.', 0o707), ('*', 0o722), ('*', 0o777)
  )
  def test_a_folder_that_others_may_write_into_is_not_used(self, which, mode):
    cache, mine = self.process()
    (mine / 'one.pb').write_text('1')
    cache.count()
    [folder] = [self.folder] if which == '.' else self.folder.glob(which)
    folder.chmod(mode)
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
      cache, mine = self.process()
    self.assertRegex(
        err.getvalue(), f'^.*: {folder} is not used .*: others may write .*\n$'
    )
    self.assertEmpty(list(mine.glob('*.pb')))
    (mine / 'two.pb').write_text('2')
    self.assertEqual(cache.count(), 1)
    self.assertEqual(self.kept(), ['one.pb'])

  def test_a_folder_of_another_user_is_not_used(self):
    self.folder.mkdir(parents=True)
    err = io.StringIO()
    with (
        mock.patch.object(os, 'geteuid', return_value=os.geteuid() + 1),
        contextlib.redirect_stderr(err),
    ):
      self.process()
    self.assertIn('others may write', err.getvalue())

  def test_an_empty_file_is_no_program(self):
    cache, mine = self.process()
    (mine / 'one.pb').write_text('1')
    cache.count()
    [path] = self.folder.glob('*/one.pb')
    path.write_text('')
    cache, mine = self.process()
    self.assertEmpty(list(mine.glob('*.pb')))
    (mine / 'one.pb').write_text('1')
    self.assertEqual(cache.count(), 1)
    self.assertEqual(path.read_text(), '1')

  def test_the_users_own_flags_stay(self):
    os.environ['TF_XLA_FLAGS'] = '--tf_xla_clustering_debug=true'
    compilation_cache.CompilationCache(str(self.folder))
    flags = os.environ['TF_XLA_FLAGS'].split()
    self.assertEqual(flags[0], '--tf_xla_clustering_debug=true')
    self.assertStartsWith(flags[1], _FLAG)
    os.environ['TF_XLA_FLAGS'] = own = f'{_FLAG}/somewhere/else'
    cache = compilation_cache.CompilationCache(str(self.folder))
    self.assertEqual(os.environ['TF_XLA_FLAGS'], own)
    self.assertEqual(cache.count(), 0)

  def test_the_default_folder_is_in_the_users_cache(self):
    os.environ['XDG_CACHE_HOME'] = '/of/mine'
    self.assertEqual(
        compilation_cache.default_folder(), '/of/mine/quatrain/xla'
    )
    os.environ['XDG_CACHE_HOME'] = ''
    with mock.patch.dict(os.environ, HOME='/home/me'):
      self.assertEqual(
          compilation_cache.default_folder(), '/home/me/.cache/quatrain/xla'
      )


class ProcessTest(parameterized.TestCase):
  """What only a process shows: XLA reads and writes, and is counted.

  All in folders whose names have spaces: nothing is cut at them.
  """

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self)) / 'with a space'
    self.temporary = self.root / 'tmp'
    self.temporary.mkdir(parents=True)
    self.environment = {'TMPDIR': str(self.temporary)}

  def start(self, name, script=None, **changes):
    arguments = [
        *runs.arguments(
            runs.config(num_epochs=3, eval_every_epochs=2, **changes)
        ),
        f'--workdir={self.root / name}',
        f'--compilation_cache_dir={self.root}/cache',
    ]
    if script:
      return runs.start_python(
          '-c', script.format(arguments), environment=self.environment
      )
    return runs.start('train', *arguments, environment=self.environment)

  def finish(self, process, code=0):
    ended = runs.finish(process)
    self.assertEqual(ended.code, code, ended.err)
    return ended.out

  @pytest.mark.medium
  def test_a_second_start_compiles_nothing(self):
    """Nor one that reads prepared data, calls less often, or goes on."""
    data = runs.data_dir.__wrapped__()  # That no start has read yet.
    changes = {'data_dir': data, 'steps_per_loop': 1}
    out = self.finish(self.start('first', **changes))
    first = runs.result(self.root / 'first')
    self.assertEqual(first['compiled'], 'loop')
    # The loops of training and of evaluation, each compiled and traced once.
    self.assertEqual(first['num_compilations'], 2)
    self.assertEqual(first['num_train_step_traces'], 1)
    self.assertNotIn('XLA compiled', out)
    self.finish(self.start('second', script=_FAILING, data_dir=data), code=1)
    self.finish(self.start('second', data_dir=data))
    second = runs.result(self.root / 'second')
    self.assertEqual(second['num_compilations'], 0)
    self.assertEqual(second['weights_sha256'], first['weights_sha256'])
    self.assertEqual(second['test'], first['test'])
    self.assertEmpty(os.listdir(self.temporary))
    self.assertEqual(os.listdir(self.root.parent), [self.root.name])

  @pytest.mark.slow
  def test_a_second_evaluation_compiles_nothing(self):
    self.finish(self.start('run'))
    counts = []
    for _ in range(2):
      process = runs.start(
          'evaluate',
          f'--workdir={self.root / "run"}',
          f'--compilation_cache_dir={self.root}/evaluated',
          environment=self.environment,
      )
      self.finish(process)
      scored = json.loads((self.root / 'run/evaluation_test.json').read_text())
      counts.append(scored.pop('num_compilations'))
    self.assertEqual(counts, [1, 0])
    values = runs.result(self.root / 'run')['test']['values']
    self.assertEqual(scored['values'], values)

  @pytest.mark.medium
  def test_a_run_that_compiles_again_says_so(self):
    out = self.finish(self.start('run', script=_CHANGING))
    self.assertEqual(out.count(_MESSAGE), 1, out)
    result = runs.result(self.root / 'run')
    self.assertEqual(result['num_compilations'], 3)
    self.assertEqual(result['num_train_step_traces'], 1)


if __name__ == '__main__':
  absltest.main()
