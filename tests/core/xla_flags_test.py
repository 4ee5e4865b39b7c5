"""Tests of XLA's settings: what the user has set stays; what it compiles."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from core import xla_flags

_PROGRAM = """
import sys
import tensorflow as tf
from core import xla_flags
for batch_size in sys.argv[1:]:
  xla_flags.tune_for_cpu(int(batch_size))

@tf.function(jit_compile=True)
def function(x):
  return tf.sqrt(x) * 2.0 + x

function(tf.ones([4096]))
"""


def _compiled(*batch_sizes):
  """Returns what XLA hands to LLVM in a process of its own."""
  with tempfile.TemporaryDirectory() as folder:
    subprocess.run(
        [sys.executable, '-c', _PROGRAM, *map(str, batch_sizes)],
        env={**os.environ, 'XLA_FLAGS': f'--xla_dump_to={folder}'},
        check=True,
        capture_output=True,
    )
    paths = pathlib.Path(folder).glob('*ir-no-opt.ll')
    return ''.join(path.read_text() for path in paths)


class XlaFlagsTest(parameterized.TestCase):

  def test_is_added_once_and_leaves_what_is_there(self):
    with mock.patch.dict(os.environ, {'XLA_FLAGS': '--xla_a=1'}):
      xla_flags.add('xla_b', 2)
      xla_flags.add('xla_b', 3)
      self.assertEqual(os.environ['XLA_FLAGS'], '--xla_a=1 --xla_b=2')
    with mock.patch.dict(os.environ):
      os.environ.pop('TF_XLA_FLAGS', None)
      xla_flags.add('tf_xla_c', 'x', 'TF_XLA_FLAGS')
      self.assertEqual(os.environ['TF_XLA_FLAGS'], '--tf_xla_c=x')

  @parameterized.parameters(
      ('/plain/path', '/plain/path'),
      ('', ''),
      ('/a b', '"/a b"'),
      ("/it's", '"/it\'s"'),
      ('/"a"\\ b', '"/\\"a\\"\\\\ b"'),
  )
  def test_what_xla_would_cut_is_quoted(self, value, expected):
    with mock.patch.dict(os.environ, {'XLA_FLAGS': '--xla_ab=1'}):
      xla_flags.add('xla_a', value)
      self.assertEqual(
          os.environ['XLA_FLAGS'], f'--xla_ab=1 --xla_a={expected}'
      )

  @parameterized.parameters(
      ('2.21.0', 32, '', '--xla_cpu_prefer_vector_width=512'),
      (
          '2.21.1',
          64,
          '--xla_cpu_prefer_vector_width=128',
          (
              '--xla_cpu_prefer_vector_width=128 '
              '--xla_cpu_experimental_ynn_fusion_type='
          ),
      ),
      ('2.20.0', 64, '', ''),
  )
  def test_tunes_what_is_known_and_not_set(
      self, version, batch_size, before, after
  ):
    with (
        mock.patch.dict(os.environ, {'XLA_FLAGS': before}),
        mock.patch.object(importlib.metadata, 'version', return_value=version),
    ):
      xla_flags.tune_for_cpu(batch_size)
      self.assertEqual(os.environ['XLA_FLAGS'], after)

  @absltest.skipUnless(
      importlib.metadata.version('tensorflow').startswith('2.21.'),
      'other versions are left alone',
  )
  @pytest.mark.slow
  def test_counts_after_the_import_of_tensorflow(self):
    marked = '"prefer-vector-width"="512"'
    self.assertIn(marked, _compiled(64))
    self.assertNotIn(marked, _compiled())


if __name__ == '__main__':
  absltest.main()
