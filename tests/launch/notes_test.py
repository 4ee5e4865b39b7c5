"""Tests of what is withheld of stderr."""

from __future__ import annotations

import os
import subprocess
import sys

from absl.testing import absltest, parameterized

from tests.launch import runs

_PROGRAM = """
import contextlib, os, sys
from launch import notes
with contextlib.suppress(Exception), notes.withheld({but}):
  os.write(2, b'of a library; ')
  {then}
os.write(2, b'afterwards')
"""


class WithheldTest(parameterized.TestCase):

  @parameterized.parameters(
      ('', 'None', 'afterwards'),
      ('', 'raise ValueError', 'of a library; afterwards'),
      ('but=ValueError', 'raise ValueError', 'afterwards'),
      ('but=ValueError', 'raise OSError', 'of a library; afterwards'),
  )
  def test_printed_only_if_something_failed(self, but, then, expected):
    ended = subprocess.run(
        [sys.executable, '-c', _PROGRAM.format(but=but, then=then)],
        cwd=runs.ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    self.assertEqual(ended.stderr, expected)


if __name__ == '__main__':
  absltest.main()
