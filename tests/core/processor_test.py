"""Tests of the processor's features, and of the setting that follows."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from core import processor

# Prints a line for each convolution that oneDNN computes.
_PROGRAM = """
import os, sys
os.environ['ONEDNN_VERBOSE'] = '1'
if sys.argv[1] == 'use':
  from core import processor
  processor.use_onednn()
import tensorflow as tf
function = tf.function(lambda x: tf.nn.conv2d(x, x, 1, 'SAME'))
function(tf.ones([4, 4, 4, 4]))
"""


def _features(text):
  """Returns the features of a machine that is described so."""
  with tempfile.NamedTemporaryFile('w+', suffix='cpuinfo') as file:
    file.write(text)
    file.flush()
    path = pathlib.Path(file.name)
    with mock.patch.object(processor, '_DESCRIPTION', path):
      return processor.features.__wrapped__()


class FeaturesTest(parameterized.TestCase):

  @parameterized.parameters(
      (
          'processor\t: 0\nflags\t\t: fpu avx2\nbugs\t: avx512_bf16\n',
          {'fpu', 'avx2'},
      ),
      ('processor : 0\nFeatures : fp asimd\n', {'fp', 'asimd'}),
      ('flags : a b\n\nflags : a b\n', {'a', 'b'}),
      ('', set()),
  )
  def test_are_read(self, text, expected):
    self.assertEqual(_features(text), expected)

  def test_are_none_where_nothing_tells(self):
    nowhere = pathlib.Path('/no/such/file')
    with mock.patch.object(processor, '_DESCRIPTION', nowhere):
      self.assertEmpty(processor.features.__wrapped__())

  @parameterized.parameters(
      ({'avx2'}, 'float32', True),
      ({'avx2'}, 'bfloat16', False),
      ({'avx2', 'avx512f'}, 'bfloat16', False),
      ({'avx2', 'avx512_bf16'}, 'bfloat16', True),
      ({'amx_bf16'}, 'bfloat16', True),
      ({'avx512_bf16'}, 'float16', False),
      ({'avx512_fp16'}, 'float16', True),
      ((), 'bfloat16', False),
  )
  def test_decide_on_products(self, features, dtype, expected):
    with mock.patch.object(
        processor, 'features', return_value=frozenset(features)
    ):
      self.assertEqual(processor.multiplies_in(dtype), expected)


class OneDnnTest(parameterized.TestCase):

  @parameterized.parameters(
      ({'avx2'}, None, '1'),
      ({'avx2'}, '0', '0'),
      ({'sse4_2'}, None, None),
  )
  def test_is_set_where_it_gains(self, features, before, after):
    name = 'TF_ENABLE_ONEDNN_OPTS'
    with (
        mock.patch.dict(os.environ),
        mock.patch.object(processor, 'features', return_value=features),
    ):
      os.environ.pop(name, None)
      if before:
        os.environ[name] = before
      processor.use_onednn()
      self.assertEqual(os.environ.get(name), after)

  @absltest.skipUnless('avx2' in processor.features(), 'there is no AVX2')
  @pytest.mark.medium
  def test_counts(self):
    unset = dict(os.environ)
    unset.pop('TF_ENABLE_ONEDNN_OPTS', None)
    without = {**unset, 'TF_ENABLE_ONEDNN_OPTS': '0'}
    numbers = []
    for argument, environment in (('leave', without), ('use', unset)):
      ended = subprocess.run(
          [sys.executable, '-c', _PROGRAM, argument],
          env=environment,
          check=True,
          capture_output=True,
          text=True,
      )
      numbers.append(ended.stdout.count(',exec,cpu,convolution,'))
    self.assertEqual(numbers, [0, 1])


if __name__ == '__main__':
  absltest.main()
