"""Tests of the package launch: what an import of it does."""

from __future__ import annotations

import subprocess
import sys

import pytest
from absl.testing import absltest

import launch

_PROGRAM = """
import sys
import launch
assert 'tensorflow' not in sys.modules
launch.load
assert 'tensorflow' in sys.modules
from absl import flags
own = [m for m in flags.FLAGS.flags_by_module_dict() if m.startswith('launch')]
assert not own, own
"""


class LaunchTest(absltest.TestCase):

  @pytest.mark.medium
  def test_an_import_takes_no_time_and_defines_no_flag(self):
    done = subprocess.run(
        [sys.executable, '-c', _PROGRAM], capture_output=True, text=True
    )
    self.assertEqual(done.returncode, 0, done.stderr)

  def test_names(self):
    for name in ('load', 'run', 'Loaded'):
      self.assertEqual(getattr(launch, name).__module__, 'launch.library')
    self.assertEqual(launch.Config.__module__, 'launch.config')
    self.assertEqual(launch.Result.__module__, 'launch.training.results')
    with self.assertRaisesRegex(AttributeError, "no attribute 'lode'"):
      _ = launch.lode


if __name__ == '__main__':
  absltest.main()
