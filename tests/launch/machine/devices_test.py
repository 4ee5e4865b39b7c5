"""Tests of launch.machine.devices."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import programs
from launch.machine import devices
from tests.launch import runs


class StrategyTest(parameterized.TestCase):

  @parameterized.parameters(
      ('auto', tf.distribute.MirroredStrategy),
      ('mirrored', tf.distribute.MirroredStrategy),
      ('one_device', tf.distribute.OneDeviceStrategy),
  )
  def test_name(self, name, kind):
    strategy = devices.strategy(name)
    self.assertIsInstance(strategy, kind)
    expected = (
        1
        if name == 'one_device'
        else len(
            tf.config.list_logical_devices('GPU')
            or tf.config.list_logical_devices('CPU')
        )
    )
    self.assertEqual(strategy.num_replicas_in_sync, expected)

  @parameterized.parameters(
      ('multi_worker', {}, 'TF_CONFIG is to name the workers'),
      ('auto', {'TF_CONFIG': '{"cluster":'}, 'TF_CONFIG is not JSON'),
      ('auto', {'TF_CONFIG': '{"cluster": {}}'}, 'names no workers'),
  )
  def test_workers_that_are_not_named(self, name, environment, message):
    with mock.patch.dict(os.environ, environment):
      if not environment:
        os.environ.pop('TF_CONFIG', None)
      with self.assertRaisesRegex(programs.UserError, message):
        devices.strategy(name)


class VirtualDevicesTest(absltest.TestCase):

  @pytest.mark.medium
  def test_in_a_new_process(self):
    """Twice the same is taken, other devices are not."""
    program = """
from launch.machine import devices
from launch import programs
from tests.launch import runs
for _ in range(2):
  strategy = devices.strategy('mirrored', 2)
  assert strategy.num_replicas_in_sync == 2, strategy
try:
  devices.strategy('mirrored', 3)
except programs.UserError as error:
  print(error)
"""
    done = subprocess.run(
        [sys.executable, '-c', program],
        cwd=runs.ROOT,
        capture_output=True,
        text=True,
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertStartsWith(done.stdout, '--num_virtual_devices=3: TensorFlow')


class DriverTest(parameterized.TestCase):

  @parameterized.parameters(
      ('proc/driver/nvidia/version', True),
      ('dev/nvidia0', True),
      ('dev/nvidia11', True),
      ('dev/nvidia-modeset', False),
      ('dev/x', False),
  )
  def test_what_there_is_of_it(self, name, expected):
    with tempfile.TemporaryDirectory() as root:
      self.assertFalse(devices.has_nvidia_driver(root))
      path = pathlib.Path(root) / name
      path.parent.mkdir(parents=True)
      path.touch()
      self.assertEqual(devices.has_nvidia_driver(root), expected)

  @parameterized.parameters(
      (True, [], None, True),
      (True, [], '0', True),
      (True, [], '', False),
      (True, [], '-1', False),
      (True, ['GPU:0'], None, False),
      (False, [], None, False),
  )
  def test_gpus_that_are_left_out_are_told(self, driver, gpus, visible, told):
    out = io.StringIO()
    environment = {} if visible is None else {'CUDA_VISIBLE_DEVICES': visible}
    with (
        mock.patch.object(devices, 'has_nvidia_driver', return_value=driver),
        mock.patch.object(
            tf.config, 'list_physical_devices', return_value=gpus
        ),
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(out),
    ):
      if visible is None:
        os.environ.pop('CUDA_VISIBLE_DEVICES', None)
      devices.strategy('one_device')
    self.assertEqual(out.getvalue().count('\n'), told)
    self.assertEqual('tensorflow[and-cuda]' in out.getvalue(), told)


if __name__ == '__main__':
  absltest.main()
