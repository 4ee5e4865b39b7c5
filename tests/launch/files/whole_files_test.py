"""Tests of launch.files.whole_files."""

from __future__ import annotations

import pathlib
import tempfile

from absl.testing import absltest, parameterized

from launch.files import whole_files


class WholeFilesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    made = tempfile.TemporaryDirectory()
    self.addCleanup(made.cleanup)
    self.path = pathlib.Path(made.name) / 'result.json'

  @parameterized.parameters(False, True)
  def test_a_block_that_ends(self, was_there):
    if was_there:
      self.path.write_text('old')
    with whole_files.replacing(self.path) as temporary:
      temporary.write_text('new')
      self.assertEqual(self.path.exists(), was_there)
    self.assertEqual(self.path.read_text(), 'new')
    self.assertEqual(list(self.path.parent.iterdir()), [self.path])

  @parameterized.product(
      was_there=[False, True],
      has_written=[False, True],
      error=[OSError, KeyboardInterrupt],
  )
  def test_a_block_that_raises(self, was_there, has_written, error):
    if was_there:
      self.path.write_text('old')
    with (
        self.assertRaises(error),
        whole_files.replacing(self.path) as temporary,
    ):
      if has_written:
        temporary.write_text('new')
      raise error
    found = {each: each.read_text() for each in self.path.parent.iterdir()}
    self.assertEqual(found, {self.path: 'old'} if was_there else {})

  def test_a_folder_that_is_not_there(self):
    path = self.path.parent / 'none' / 'result.json'
    with (
        self.assertRaises(FileNotFoundError) as caught,
        whole_files.replacing(path) as temporary,
    ):
      temporary.write_text('new')
    self.assertEqual(caught.exception.filename, str(path))


if __name__ == '__main__':
  absltest.main()
