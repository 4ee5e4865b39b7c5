"""Tests of core.scratch: temporary folders go with their process."""

from __future__ import annotations

import os
import pathlib
import signal
import tempfile
from unittest import mock

from absl.testing import absltest

from core import scratch
from tests.launch import runs

_HOLDER = """
import sys, time
from core import scratch
with scratch.folder('quatrain-test-') as folder:
  print(folder, flush=True)
  time.sleep(float(sys.argv[1]))
"""


class ScratchTest(absltest.TestCase):

  def test_folders_of_dead_processes_are_removed(self):
    root = pathlib.Path(runs.scratch(self)) / 'with a space'
    root.mkdir()
    environment = {'TMPDIR': str(root)}

    def start(seconds):
      process = runs.start_python(
          '-c', _HOLDER, str(seconds), environment=environment
      )
      self.enter_context(runs.ending(process))
      return process, pathlib.Path(process.stdout.readline().rstrip('\n'))

    killed, dead = start(600)
    alive = start(600)[1]
    ended, gone = start(0)
    self.assertEqual(runs.finish(ended).code, 0)
    self.assertFalse(gone.exists())
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (dead / 'program.pb').write_text('compiled')
    other = root / 'quatrain-test-of-an-unknown-owner'
    other.mkdir()
    with (
        mock.patch.object(tempfile, 'tempdir', str(root)),
        scratch.folder('quatrain-test-') as mine,
    ):
      self.assertEqual(mine.parent, root)
      self.assertEqual(mine.stat().st_mode & 0o777, 0o700)
      self.assertCountEqual(
          os.listdir(root), [alive.name, other.name, mine.name]
      )
    self.assertCountEqual(os.listdir(root), [alive.name, other.name])


if __name__ == '__main__':
  absltest.main()
