"""Tests of launch.cluster.gpus."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
from unittest import mock

from absl.testing import absltest, parameterized

from launch import programs
from launch.cluster import gpus
from tests.launch import runs

_LISTED = """#!/bin/sh
echo 'GPU 0: NVIDIA H100 (UUID: GPU-1)'
echo '  MIG 1g.10gb Device 0: (UUID: MIG-1)'
echo 'GPU 1: NVIDIA H100 (UUID: GPU-2)'
"""


class VisibleTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))
    self.enter_context(mock.patch.dict(os.environ, PATH=str(self.folder)))

  @parameterized.parameters(
      ('', []),
      ('-1', []),
      ('0', ['0']),
      ('3, 1', ['3', '1']),
      ('1,-1,2', ['1']),
      ('GPU-8f,MIG-4', ['GPU-8f', 'MIG-4']),
  )
  def test_what_the_user_lets_see(self, value, expected):
    found = gpus.visible({'CUDA_VISIBLE_DEVICES': value})
    self.assertEqual(found, expected)

  def test_without_a_driver_there_is_none(self):
    self.assertEqual(gpus.visible({}, str(self.folder)), [])

  def test_those_that_the_kernel_knows(self):
    for name in ('0000:01:00.0', '0000:02:00.0', '0000:03:00.0'):
      (self.folder / 'proc/driver/nvidia/gpus' / name).mkdir(parents=True)
    self.assertEqual(gpus.visible({}, str(self.folder)), ['0', '1', '2'])

  def test_those_that_the_program_lists(self):
    program = self.folder / 'nvidia-smi'
    program.write_text(_LISTED)
    program.chmod(0o755)
    self.assertEqual(gpus.visible({}, str(self.folder)), ['0', '1'])
    program.write_text('#!/bin/sh\nexit 9\n')
    self.assertEqual(gpus.visible({}, str(self.folder)), [])


class SplitTest(parameterized.TestCase):

  @parameterized.parameters(
      ('', 3, [None, None, None]),
      ('0123', 1, ['0,1,2,3']),
      ('0123', 2, ['0,1', '2,3']),
      ('3210', 4, ['3', '2', '1', '0']),
  )
  def test_equal_parts(self, names, num_workers, expected):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
      parts = gpus.split(list(names), num_workers)
    self.assertEqual(
        [each.get('CUDA_VISIBLE_DEVICES') for each in parts], expected
    )
    self.assertEqual(said.getvalue(), '')

  def test_what_is_left_over_is_said(self):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
      parts = gpus.split(list('01234'), 2)
    self.assertEqual(
        [each['CUDA_VISIBLE_DEVICES'] for each in parts], ['0,1', '2,3']
    )
    self.assertIn('2 of 5 GPUs for each of 2 workers', said.getvalue())

  def test_too_few(self):
    with self.assertRaisesRegex(
        programs.UserError, '--num_workers=3: there are 2 GPUs; give at most 2'
    ):
      gpus.split(['0', '1'], 3)


if __name__ == '__main__':
  absltest.main()
