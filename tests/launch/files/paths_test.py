"""Tests of launch.files.paths."""

from __future__ import annotations

import os
import pathlib
from unittest import mock

from absl.testing import absltest, parameterized

from launch import programs, workdir
from launch.files import paths
from tests.launch import runs


class PathsTest(parameterized.TestCase):

  @parameterized.parameters(
      ('~nosuchuser/run', 'no home folder'),
      ('a' * 300, 'a name has 300 bytes'),
      ('gs://bucket/run', 'only paths of the local file'),
      ('s3://bucket', 'only paths of the local file'),
      ('runs/[1]', 'TensorFlow cannot read'),
      ('runs\\1', 'TensorFlow cannot read'),
      ('a\0b', 'null'),
  )
  def test_no_place_to_write(self, value, message):
    for flag, use in (
        ('workdir', workdir.Workdir),
        ('output_dir', lambda value: paths.local('output_dir', value)),
    ):
      with self.assertRaises(programs.UserError) as caught:
        use(value)
      self.assertStartsWith(str(caught.exception), f'--{flag}={value}: ')
      self.assertIn(message, str(caught.exception))
      self.assertIn('directory', str(caught.exception))

  def test_a_file_to_write(self):
    folder = pathlib.Path(runs.scratch(self))
    (folder / 'a.png').mkdir()
    self.assertEqual(
        paths.output(f'{folder}/new/b.png', '.png'), folder / 'new' / 'b.png'
    )
    for name, message in (
        ('a.png', 'it is a directory'),
        ('b.jpg', 'that ends in .png'),
    ):
      with self.assertRaisesRegex(programs.UserError, message):
        paths.output(f'{folder}/{name}', '.png')

  @parameterized.parameters('/proc', '/sys', '/proc/new')
  def test_where_even_root_cannot_write(self, folder):
    """Each program's --output and --workdir is checked by this."""
    for name in ('a.csv', 'new/a.csv'):
      with self.assertRaisesRegex(
          programs.UserError,
          f'^--output={folder}\\b.*(no file can be created|not writable)',
      ):
        paths.output(f'{folder}/{name}', '.csv')

  def test_a_check_leaves_nothing(self):
    folder = pathlib.Path(runs.scratch(self))
    before = folder.stat().st_mtime_ns
    paths.check_writable('workdir', folder / 'new' / 'run')
    self.assertEqual(list(folder.iterdir()), [])
    self.assertEqual(folder.stat().st_mtime_ns, before)

  def test_places(self):
    with mock.patch.dict(os.environ, HOME='/home/me'):
      self.assertEqual(
          paths.local('workdir', '~/a b'), pathlib.Path('/home/me/a b')
      )
    self.assertEqual(paths.local('workdir', 'gs/x'), pathlib.Path('gs/x'))

  def test_a_link_to_what_is_not_mounted(self):
    root = pathlib.Path(runs.scratch(self))
    (root / 'link').symlink_to(root / 'disk')
    for name in ('link', 'link/run'):
      with self.assertRaisesRegex(programs.UserError, 'not a directory'):
        paths.check_writable('workdir', root / name)
    (root / 'disk').mkdir()
    paths.check_writable('workdir', root / 'link' / 'run')


if __name__ == '__main__':
  absltest.main()
