"""Tests of a work directory.

Covers: files.config_file, machine.environment, files.json_files,
files.metrics_file, files.starts.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from unittest import mock

from absl.testing import absltest, parameterized

from launch import data as data_lib
from launch import programs, workdir
from launch.files import starts
from launch.reporting import inspecting, writing
from pipelines import spec as spec_lib
from tests.launch import runs


def _row(step):
  return {'step': step, 'split': 'train'}


_DATA = data_lib.DataSpec(spec_lib.of_images((8, 8, 3), 'ab'), {'train': 5})


class WorkdirTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.path = self.root / 'run'
    self.workdir = workdir.Workdir(str(self.path))

  def test_a_run_from_start_to_end(self):
    self.assertFalse(self.workdir.exists())
    self.assertIsNone(self.workdir.read_result())
    self.assertEqual(self.workdir.read_metrics(), [])
    config = runs.config(seed=3, data_dir='/d', metrics=('a', 'b'))
    self.workdir.config_file.write(config, _DATA)
    self.assertTrue(self.workdir.exists())
    start = self.workdir.read_start()
    self.assertEqual(
        dataclasses.replace(start, environment={}, history=(), shapes=()),
        starts.Start(config, _DATA, None),
    )
    for step in (1, 2, 3):
      self.workdir.append_metrics(_row(step))
    self.workdir.saved(3)
    self.workdir.saved(4)
    self.assertEqual(self.workdir.read_start().first_checkpoint, 3)
    self.workdir.write_result({'num_steps': 4})
    self.assertEqual(self.workdir.read_result(), {'num_steps': 4})
    self.assertCountEqual(
        os.listdir(self.path), ['config.json', 'metrics.jsonl', 'result.json']
    )

  def test_rows_of_lost_steps_go_with_the_next_checkpoint(self):
    path = self.path / 'metrics.jsonl'
    for step in (1, 2, 3):
      self.workdir.config_file.write(runs.config(), _DATA)
      self.workdir.append_metrics(_row(step))
    for _ in range(2):  # Killed before it saved; and then not.
      self.workdir = workdir.Workdir(str(self.path))
      before = path.read_text()
      self.workdir.go_on_from(1)
      self.assertEqual(self.steps(), [1])
      self.workdir.append_metrics(_row(2))
      self.assertEqual(self.steps(), [1, 2])
      self.assertStartsWith(path.read_text(), before)
    self.workdir.saved(2)
    self.workdir.append_metrics(_row(3))
    self.assertEqual(self.steps(), [1, 2, 3])
    self.assertLen(path.read_text().splitlines(), 3)

  def test_killed_between_a_checkpoint_and_the_note_of_it(self):
    """Rows that were written again count once, in any reader of the file."""
    self.workdir.config_file.write(runs.config(), _DATA)
    for step, split in (
        (1, 'train'),
        (2, 'train'),
        (2, 'validation'),
        (3, 'train'),
    ):
      self.workdir.append_metrics({'step': step, 'split': split, 'start': 1})
    again = workdir.Workdir(str(self.path))
    again.go_on_from(1)
    for split in ('train', 'validation'):
      again.append_metrics({'step': 2, 'split': split, 'start': 2})
    for reader in (workdir.Workdir(str(self.path)), again):
      self.assertEqual(
          [(row['step'], row['start']) for row in reader.read_metrics()],
          [(1, 1), (2, 2), (2, 2)],
      )
    reader = workdir.Workdir(str(self.path))
    reader.go_on_from(2)  # The checkpoint is that of step 2.
    reader.append_metrics({'step': 3, 'split': 'train', 'start': 3})
    reader.saved(3)
    lines = (self.path / 'metrics.jsonl').read_text().splitlines()
    self.assertEqual(
        [json.loads(line)['start'] for line in lines], [1, 2, 2, 3]
    )

  def steps(self):
    return [row['step'] for row in self.workdir.read_metrics()]

  def test_what_changes_is_kept_in_the_history(self):
    self.workdir.config_file.write(runs.config(data_dir='/d'), _DATA)
    config = runs.config(num_epochs=7, jit_compile='off', data_dir='/e')
    for step in (30, 40):
      self.workdir.config_file.record(
          step, {'jit_compile': ['auto', 'off']}, config, _DATA
      )
    self.workdir.config_file.record(50, {}, runs.config(), _DATA)
    values = json.loads((self.path / 'config.json').read_text())
    self.assertEqual(
        [(each['step'], each['changes']) for each in values['history']],
        [(step, {'jit_compile': ['auto', 'off']}) for step in (30, 40)],
    )
    start = self.workdir.read_start()
    self.assertEqual(start.config, config)

  def test_config_names_the_versions(self):
    self.enter_context(
        mock.patch.dict(os.environ, {'XLA_FLAGS': '--of=mine', 'OTHER': '1'})
    )
    os.environ.pop('TF_ENABLE_ONEDNN_OPTS', None)
    self.workdir.config_file.write(runs.config(), _DATA)
    environment = json.loads((self.path / 'config.json').read_text())[
        'environment'
    ]
    self.assertRegex(environment['packages']['tensorflow'], r'^\d+\.\d+')
    self.assertRegex(environment['python'], r'^3\.')
    self.assertEqual(environment['variables'], {'XLA_FLAGS': '--of=mine'})
    if (runs.ROOT / '.git').exists():
      self.assertRegex(environment['git_revision'], r'^[0-9a-f]{40}\+?$')

  def test_a_row_that_was_cut_off_is_dropped(self):
    self.path.mkdir()
    path = self.path / 'metrics.jsonl'
    for kept in ([_row(1)], []):
      whole = ''.join(json.dumps(row) + '\n' for row in kept)
      path.write_text(whole + '{"step": 2, "lo')
      self.assertEqual(self.workdir.read_metrics(), kept)
      self.workdir.go_on_from(5)
      self.workdir.append_metrics(_row(2))
      self.assertEqual(path.read_text(), whole + json.dumps(_row(2)) + '\n')

  def test_only_the_chief_writes(self):
    worker = workdir.Workdir(str(self.path), is_chief=False)
    worker.config_file.write(runs.config(), _DATA)
    worker.append_metrics(_row(1))
    worker.go_on_from(0)
    worker.saved(1)
    worker.config_file.record(1, {'seed': [0, 1]}, runs.config(), _DATA)
    worker.write_result({})
    with mock.patch.object(inspecting, 'inspect') as inspect:
      writing.write(worker, mock.Mock())
    inspect.assert_called_once()  # All workers do that.
    with worker.locked():
      self.assertFalse(self.path.exists())
    self.assertFalse(self.path.exists())

  def test_a_file_is_written_as_a_whole(self):
    self.workdir.config_file.write(runs.config(), _DATA)
    self.workdir.write_result({'num_steps': 1})
    with self.assertRaises(TypeError):
      self.workdir.write_result({'num_steps': object()})
    with (
        mock.patch.object(os, 'replace', side_effect=OSError),
        self.assertRaises(OSError),
    ):
      self.workdir.write_result({'num_steps': 2})
    self.assertEqual(self.workdir.read_result(), {'num_steps': 1})
    self.assertCountEqual(os.listdir(self.path), ['config.json', 'result.json'])

  @parameterized.parameters('run', 'run/deeper/still', '.')
  def test_writable(self, name):
    workdir.Workdir(str(self.root / name)).check_writable()
    self.assertEmpty(os.listdir(self.root))

  @parameterized.parameters('file', 'file/run', 'file/run/deeper')
  def test_below_a_file(self, name):
    (self.root / 'file').write_text('')
    with self.assertRaisesRegex(
        programs.UserError, f'--workdir={self.root}/{name}: .*file is not a dir'
    ):
      workdir.Workdir(str(self.root / name)).check_writable()

  def test_not_permitted(self):
    def access(path, mode):
      return not (os.fspath(path) == str(self.root) and mode & os.W_OK)

    with (
        mock.patch.object(os, 'access', access),
        self.assertRaisesRegex(programs.UserError, 'is not writable'),
    ):
      self.workdir.check_writable()

  def test_no_config(self):
    with self.assertRaisesRegex(programs.UserError, 'there is no run'):
      self.workdir.read_start()


def _leaves(value, path=()):
  """Yields the paths of all mappings and values in a nest of JSON."""
  if path:
    yield path
  if isinstance(value, dict):
    for name in value:
      yield from _leaves(value[name], (*path, name))


def _replaced(value, path, new):
  """Returns a nest of JSON with another value at a path; ... removes it."""
  name, *rest = path
  if new is ... and not rest:
    return {key: item for key, item in value.items() if key != name}
  return {**value, name: _replaced(value[name], rest, new) if rest else new}


class DamageTest(parameterized.TestCase):
  """Every JSON file of a work directory, damaged in every way."""

  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(runs.scratch(self)) / 'run'
    self.workdir = workdir.Workdir(str(self.path))
    self.workdir.config_file.write(runs.config(data_dir='/d'), _DATA)
    for step in (1, 2):
      self.workdir.append_metrics({**_row(step), 'loss': 0.5, 'epoch': 1.0})
    self.workdir.write_result({'num_steps': 2, 'test_accuracy': 0.5})

  def read(self, name):
    return {
        'config.json': self.workdir.read_start,
        'metrics.jsonl': self.workdir.read_metrics,
        'result.json': self.workdir.read_result,
    }[name]()

  def assert_refused(self, name, message='config.json|metrics|result'):
    with self.assertRaises(programs.UserError) as caught:
      self.read(name)
    text = str(caught.exception)
    self.assertIn(f'{self.path}/{name}', text)
    self.assertRegex(text, message)
    self.assertRegex(text, 'from a backup, or use another work directory[.]$')
    self.assertNotIn('\n', text)

  @parameterized.product(
      name=('config.json', 'metrics.jsonl', 'result.json'),
      text=(
          '\n',
          '{"config": ',
          '[]',
          '\0\1',
          '3',
          'null',
          '"text"',
          '{}',
          '{"other": 1}',
          '[' * 100_000,
          b'\xff\xfe{}',
      ),
  )
  def test_text_that_is_no_such_file(self, name, text):
    text = text if isinstance(text, bytes) else text.encode()
    (self.path / name).write_bytes(text + b'\n')
    self.assert_refused(name)

  @parameterized.parameters('config.json', 'metrics.jsonl', 'result.json')
  def test_a_file_that_was_cut_off(self, name):
    path = self.path / name
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, max(1, len(whole) // 40)):
      path.write_bytes(whole[:size])
      if name == 'metrics.jsonl':  # Less its last row.
        self.assertLess(len(self.read(name)), 2)
      else:
        self.assert_refused(name, 'damaged')

  @parameterized.parameters('config.json', 'metrics.jsonl', 'result.json')
  def test_any_other_value(self, name):
    """Is refused, or read: nothing else than a UserError comes of it."""
    path = self.path / name
    first, *others = path.read_text().splitlines(name == 'metrics.jsonl')
    whole = json.loads(
        path.read_text() if others and name != 'metrics.jsonl' else first
    )
    refused = set()
    for at in _leaves(whole):
      for new in (..., None, [], {}, 'x', -1, 0.5, True):
        path.write_text(json.dumps(_replaced(whole, at, new)) + '\n')
        try:
          self.read(name)
        except programs.UserError as error:
          self.assertIn(str(path), str(error))
          refused.add(at[-1])
    needed = {
        'config.json': {
            'config',
            'data',
            'program',
            'seed',
            'data_dir',
            'class_names',
            'train',
            'history',
        },
        'metrics.jsonl': {'step', 'split', 'loss', 'epoch'},
        'result.json': {'num_steps', 'test_accuracy'},
    }
    self.assertContainsSubset(needed[name], refused)

  @parameterized.parameters('config.json', 'metrics.jsonl', 'result.json')
  def test_a_file_that_cannot_be_read(self, name):
    (self.path / name).unlink()
    (self.path / name).mkdir()
    self.assert_refused(name, 'cannot be read [(]Is a directory[)]')

  def test_files_that_are_missing(self):
    for name in ('result.json', 'metrics.jsonl'):
      (self.path / name).unlink()
    self.assertIsNone(self.read('result.json'))
    self.assertEqual(self.read('metrics.jsonl'), [])

  @parameterized.parameters(
      'metrics.jsonl', 'result.json', 'checkpoints/ckpt-3.index'
  )
  def test_a_config_that_is_missing(self, left):
    for path in list(self.path.iterdir()):
      path.unlink()
    self.assertFalse(self.workdir.exists())
    (self.path / left).parent.mkdir(exist_ok=True)
    (self.path / left).write_text('')
    for look in (self.workdir.exists, self.workdir.read_start):
      with self.assertRaisesRegex(
          programs.UserError, f'{left[:11]}.* its config.json is missing'
      ):
        look()


class ProgressTest(parameterized.TestCase):
  """A run without a checkpoint: lost, or killed before the first one."""

  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(runs.scratch(self)) / 'run'
    self.workdir = workdir.Workdir(str(self.path))
    self.workdir.config_file.write(runs.config(), _DATA)
    self.workdir.append_metrics(_row(1))

  def check(self):
    self.workdir.go_on_from(0)
    self.workdir.check_progress(self.workdir.read_start())

  def assert_refused(self, message):
    before = (self.path / 'metrics.jsonl').read_bytes()
    with self.assertRaisesRegex(
        programs.UserError,
        f'no checkpoint is in checkpoints/, though {message}; restore .* from a'
        ' backup',
    ):
      self.check()
    self.assertEqual((self.path / 'metrics.jsonl').read_bytes(), before)

  def test_none_was_saved(self):
    self.check()

  def test_one_was_saved(self):
    self.workdir.saved(20)
    self.assert_refused('one was saved at step 20')

  def test_the_run_was_complete(self):
    self.workdir.write_result({'num_steps': 40})
    self.assert_refused('there is a result.json')

  def test_a_run_of_a_version_that_did_not_note_it(self):
    path = self.path / 'config.json'
    values = json.loads(path.read_text())
    del values['first_checkpoint']
    path.write_text(json.dumps(values))
    self.assert_refused('metrics.jsonl goes to step 1')
    (self.path / 'metrics.jsonl').write_text('')
    self.check()


if __name__ == '__main__':
  absltest.main()
