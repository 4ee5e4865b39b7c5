"""Tests of launch.devices."""

from __future__ import annotations

import os
from unittest import mock

import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import devices, programs


class StrategyTest(parameterized.TestCase):

  @parameterized.parameters(
      ('auto', tf.distribute.MirroredStrategy),
      ('mirrored', tf.distribute.MirroredStrategy),
      ('one_device', tf.distribute.OneDeviceStrategy),
  )
  def test_name(self, name, kind):
    strategy = devices.strategy(name)
    self.assertIsInstance(strategy, kind)
    expected = 1 if name == 'one_device' else len(
        tf.config.list_logical_devices('GPU')
        or tf.config.list_logical_devices('CPU')
    )
    self.assertEqual(strategy.num_replicas_in_sync, expected)

  @parameterized.parameters(
      ({}, 'TF_CONFIG is to name the workers'),
      ({'TF_CONFIG': ''}, 'TF_CONFIG is to name the workers'),
      ({'TF_CONFIG': '{"cluster":'}, '--strategy=multi_worker: JSONDecode'),
      (
          {'TF_CONFIG': '{"cluster": {"worker": ["localhost:1"]},'
                        '"task": {"type": "worker", "index": 7}}'},
          '--strategy=multi_worker: ',
      ),
  )
  def test_workers_that_are_not_named(self, environment, message):
    with mock.patch.dict(os.environ, environment):
      if not environment:
        os.environ.pop('TF_CONFIG', None)
      with self.assertRaisesRegex(programs.UserError, message):
        devices.strategy('multi_worker')


class LostWorkersTest(parameterized.TestCase):

  @parameterized.parameters(
      tf.errors.AbortedError, tf.errors.InternalError,
      tf.errors.UnavailableError,
  )
  def test_only_of_several_workers(self, kind):
    error = kind(None, None, 'Connection reset')
    with (
        self.assertRaisesRegex(programs.Failure, 'a worker was lost'),
        devices.lost_workers(tf.distribute.MultiWorkerMirroredStrategy()),
    ):
      raise error
    with (
        self.assertRaises(kind),
        devices.lost_workers(devices.strategy('one_device')),
    ):
      raise error


if __name__ == '__main__':
  absltest.main()
