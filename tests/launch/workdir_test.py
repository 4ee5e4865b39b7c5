"""Tests of launch.workdir."""

from __future__ import annotations

import json
import os
import pathlib
from unittest import mock

from absl.testing import absltest, parameterized

from launch import config as config_lib
from launch import programs, workdir
from tests.launch import runs

_DATA = config_lib.DataSpec((8, 8, 3), ('a', 'b'), (), (), {'train': 5})


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
    self.workdir.write_config(runs.config(seed=3), _DATA, {'data_dir': '/d'})
    self.assertTrue(self.workdir.exists())
    self.assertEqual(
        self.workdir.read_config(), (runs.config(seed=3), _DATA)
    )
    self.assertEqual(self.workdir.read_place(), {'data_dir': '/d'})
    for step in (1, 2, 3):
      self.workdir.append_metrics({'step': step})
    self.workdir.forget_metrics_after(2)
    self.workdir.append_metrics({'step': 7})
    self.assertEqual(
        [row['step'] for row in self.workdir.read_metrics()], [1, 2, 7]
    )
    self.workdir.write_result({'accuracy': 0.5})
    self.assertEqual(self.workdir.read_result(), {'accuracy': 0.5})
    self.assertCountEqual(
        os.listdir(self.path), ['config.json', 'metrics.jsonl', 'result.json']
    )

  def test_config_names_the_versions(self):
    self.enter_context(
        mock.patch.dict(os.environ, {'XLA_FLAGS': '--of=mine', 'OTHER': '1'})
    )
    os.environ.pop('TF_ENABLE_ONEDNN_OPTS', None)
    self.workdir.write_config(runs.config(), _DATA, {})
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
    (self.path / 'metrics.jsonl').write_text('{"step": 1}\n{"step": 2, "lo')
    self.assertEqual(self.workdir.read_metrics(), [{'step': 1}])
    self.workdir.forget_metrics_after(5)
    self.workdir.append_metrics({'step': 2})
    self.assertEqual(
        (self.path / 'metrics.jsonl').read_text(), '{"step": 1}\n{"step": 2}\n'
    )

  def test_only_the_chief_writes(self):
    worker = workdir.Workdir(str(self.path), is_chief=False)
    worker.write_config(runs.config(), _DATA, {})
    worker.append_metrics({'step': 1})
    worker.forget_metrics_after(0)
    worker.write_result({})
    worker.write_report({})
    self.assertFalse(self.path.exists())

  def test_a_file_is_written_as_a_whole(self):
    self.workdir.write_config(runs.config(), _DATA, {})
    self.workdir.write_result({'accuracy': 0.5})
    with self.assertRaises(TypeError):
      self.workdir.write_result({'accuracy': object()})
    with (
        mock.patch.object(os, 'replace', side_effect=OSError),
        self.assertRaises(OSError),
    ):
      self.workdir.write_result({'accuracy': 0.75})
    self.assertEqual(self.workdir.read_result(), {'accuracy': 0.5})

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

  @parameterized.parameters(
      ('', 'damaged'),
      ('{"config": ', 'damaged'),
      ('[]', 'damaged'),
      ('\0\1', 'damaged'),
      ('{}', "not that of a run: KeyError\\('config'"),
      ('{"config": 3, "data": {}}', 'not that of a run'),
      ('{"config": {}, "data": {}}', 'another version'),
  )
  def test_config_that_is_none(self, text, message):
    self.path.mkdir()
    (self.path / 'config.json').write_text(text)
    with self.assertRaisesRegex(
        programs.UserError, f'{self.path}/config.json .*{message}'
    ):
      self.workdir.read_config()

  def test_no_config(self):
    with self.assertRaisesRegex(programs.UserError, 'there is no run'):
      self.workdir.read_config()

  @parameterized.parameters(
      ('metrics.jsonl', '{"step": 1}\nstep 2\n{"step": 3}\n', 'read_metrics'),
      ('result.json', '{"test_accuracy"', 'read_result'),
  )
  def test_other_damage(self, name, text, method):
    self.path.mkdir()
    (self.path / name).write_text(text)
    with self.assertRaisesRegex(
        programs.UserError, f'{self.path}/{name} is damaged'
    ):
      getattr(self.workdir, method)()


if __name__ == '__main__':
  absltest.main()
