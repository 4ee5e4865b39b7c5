"""Whether files of a data set changed, without reading them."""

from __future__ import annotations

import os
import pathlib
import tempfile

from absl.testing import absltest, parameterized

from pipelines.sources import stamps


class StampsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(
        self.enter_context(tempfile.TemporaryDirectory())
    )
    for name in ('t?.csv', 'a.npz', 'f/train/a/1.png', 'f/classes.txt'):
      (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
      (self.folder / name).write_text('x')

  @parameterized.parameters(
      ('csv:{}/t?.csv?label=x', 't?.csv'),
      ('npz:{}/a.npz', 'a.npz'),
      ('folder:{}/f', 'f/train/a/1.png'),
      ('folder:{}/f', 'f/classes.txt'),
  )
  def test_tells_what_changed(self, name, file):
    name, path = name.format(self.folder), self.folder / file
    before = stamps.of(name)
    self.assertIsNotNone(before)
    self.assertEqual(stamps.of(name), before)
    status = path.stat()
    path.write_text('y')  # As long as before.
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    changed = stamps.of(name)
    self.assertNotEqual(changed, before)
    path.write_text('yy')
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    self.assertNotIn(stamps.of(name), (before, changed))

  def test_a_new_file_in_a_folder(self):
    name = f'folder:{self.folder}/f'
    before = stamps.of(name)
    (self.folder / 'f/train/a/2.png').write_text('x')
    self.assertNotEqual(stamps.of(name), before)

  @parameterized.parameters(
      'fashion_mnist',
      'tfds:mnist',
      'csv:{}/none.csv?label=x',
      'npz:{}/none.npz',
      'folder:{}/none',
  )
  def test_nothing_to_compare(self, name):
    self.assertIsNone(stamps.of(name.format(self.folder)))


if __name__ == '__main__':
  absltest.main()
