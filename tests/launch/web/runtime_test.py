"""Tests of where the page's runtime comes from."""

from __future__ import annotations

import hashlib
import os
import pathlib
import stat
from unittest import mock

from absl.testing import absltest

from launch import programs
from launch.web import runtime
from tests.launch import runs

# Packs what it finds beside it, and counts how often.
_NPM = """#!/bin/sh
echo "$@" >> {folder}/asked
test -d {folder}/package || {{ echo 'no such package' >&2; exit 1; }}
tar czf made.tgz -C {folder} package
"""


class RuntimeTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))
    npm = self.folder / 'bin' / 'npm'
    npm.parent.mkdir()
    npm.write_text(_NPM.format(folder=self.folder))
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    self.contents = {name: name.encode() for name in runtime.FILES}
    hashes = {
        name: hashlib.sha256(each).hexdigest()
        for name, each in self.contents.items()
    }
    path = f'{npm.parent}:{os.environ["PATH"]}'
    self.enter_context(
        mock.patch.dict(
            os.environ,
            {
                'PATH': path,
                'XDG_CACHE_HOME': str(self.folder / 'cache'),
            },
        )
    )
    self.enter_context(mock.patch.object(runtime, 'FILES', hashes))

  def write(self, folder):
    folder.mkdir(parents=True)
    for name, each in self.contents.items():
      (folder / name).write_bytes(each)

  def num_asked(self):
    asked = self.folder / 'asked'
    return len(asked.read_text().splitlines()) if asked.exists() else 0

  def test_npm_is_asked_once(self):
    self.write(self.folder / 'package' / 'dist')
    for _ in range(2):
      self.assertEqual(runtime.files(), self.contents)
    self.assertEqual(self.num_asked(), 1)
    asked = (self.folder / 'asked').read_text()
    self.assertIn(f'onnxruntime-web@{runtime.VERSION}', asked)
    # What is in the cache is looked at each time.
    [kept] = self.folder.glob('cache/quatrain/*/*.wasm')
    kept.write_bytes(b'of somebody else')
    self.assertEqual(runtime.files(), self.contents)
    self.assertEqual(self.num_asked(), 2)

  def test_a_cache_that_cannot_be_written(self):
    self.write(self.folder / 'package' / 'dist')
    (self.folder / 'cache').write_text('')
    self.assertEqual(runtime.files(), self.contents)

  def test_what_npm_cannot_bring(self):
    with self.assertRaisesRegex(
        programs.UserError, 'npm cannot download .*no such package.*--web_r'
    ):
      runtime.files()
    self.contents[next(iter(self.contents))] = b'another version'
    self.write(self.folder / 'package' / 'dist')
    with self.assertRaisesRegex(programs.UserError, 'expected hashes'):
      runtime.files()
    with (
        mock.patch.dict(os.environ, {'PATH': str(self.folder)}),
        self.assertRaisesRegex(programs.UserError, 'npm is .* not installed'),
    ):
      runtime.files()
    self.assertEmpty(list(self.folder.glob('cache/quatrain/*/*')))

  def test_a_folder(self):
    folder = self.folder / 'dist'
    self.contents[next(iter(self.contents))] = b'another version'
    self.write(folder)
    self.assertEqual(runtime.files(str(folder)), self.contents)
    missing = sorted(self.contents)[0]
    (folder / missing).unlink()
    with self.assertRaisesRegex(programs.UserError, f'there is no {missing}'):
      runtime.files(str(folder))
    self.assertEqual(self.num_asked(), 0)


if __name__ == '__main__':
  absltest.main()
