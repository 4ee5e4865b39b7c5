"""Tests of strategies and of the exact reduction."""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import distribution
from tests import virtual_devices

_PROGRAM = """
from core import distribution
distribution.set_virtual_devices(2)
multi_worker = distribution.create('multi_worker')
print(
    type(multi_worker).__name__,
    distribution.is_chief(multi_worker),
    distribution.create('auto').num_replicas_in_sync,
)
"""


class CreateTest(parameterized.TestCase):

  @parameterized.parameters(
      ('auto', tf.distribute.MirroredStrategy, virtual_devices.NUM_DEVICES),
      ('mirrored', tf.distribute.MirroredStrategy, virtual_devices.NUM_DEVICES),
      ('one_device', tf.distribute.OneDeviceStrategy, 1),
  )
  def test_names(self, name, kind, num_replicas):
    strategy = distribution.create(name)
    self.assertIsInstance(strategy, kind)
    self.assertEqual(strategy.num_replicas_in_sync, num_replicas)
    self.assertTrue(distribution.is_chief(strategy))

  def test_where_the_replicas_are(self):
    gpus = tf.config.list_logical_devices('GPU')
    self.assertEqual(distribution.on_gpu(), bool(gpus))
    for name in ('mirrored', 'one_device'):
      self.assertEqual(
          distribution.on_gpu(distribution.create(name)), bool(gpus)
      )
    self.assertFalse(distribution.on_gpu(distribution.mirrored(['CPU:0'])))

  def test_a_strategy_over_gpus(self):
    extended = mock.Mock(worker_devices=('/device:GPU:0', '/device:GPU:1'))
    self.assertTrue(distribution.on_gpu(mock.Mock(extended=extended)))

  def test_an_unknown_name(self):
    with self.assertRaisesRegex(
        ValueError, "strategy: unknown 'tpu'; known: auto, mirrored, multi_wor"
    ):
      distribution.create('tpu')

  def test_devices_of_a_new_process(self):
    output = subprocess.run(
        [sys.executable, '-c', _PROGRAM], check=True, stdout=subprocess.PIPE
    ).stdout.decode()
    self.assertEqual(output, 'CollectiveAllReduceStrategy True 2\n')

  def test_virtual_devices_come_first(self):
    tf.zeros([])
    with self.assertRaises(RuntimeError):
      distribution.set_virtual_devices(2)

  @parameterized.parameters(0, -1)
  def test_a_wrong_number_of_virtual_devices(self, num_devices):
    with self.assertRaisesRegex(ValueError, f'num_devices: .*{num_devices}'):
      distribution.set_virtual_devices(num_devices)


class IsChiefTest(parameterized.TestCase):

  @parameterized.parameters(
      ({'worker': ['a:1', 'b:1']}, 'worker', 0, True),
      ({'worker': ['a:1', 'b:1']}, 'worker', 1, False),
      ({'chief': ['a:1'], 'worker': ['b:1']}, 'chief', 0, True),
      ({'chief': ['a:1'], 'worker': ['b:1']}, 'worker', 0, False),
      ({'worker': ['a:1'], 'evaluator': ['b:1']}, 'evaluator', 0, False),
      ({}, None, None, True),
  )
  def test_from_tf_config(self, cluster, task_type, task_id, expected):
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), task_type=task_type, task_id=task_id
    )
    strategy = mock.Mock(spec=tf.distribute.Strategy, cluster_resolver=resolver)
    self.assertEqual(distribution.is_chief(strategy), expected)

  def test_default_strategy(self):
    self.assertTrue(distribution.is_chief(tf.distribute.get_strategy()))


class ReductionTest(parameterized.TestCase):

  @parameterized.parameters(1, 2, 3)
  def test_all_reduce_sums_a_nest(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)

    @tf.function
    def run():
      def replica_fn():
        i = tf.distribute.get_replica_context().replica_id_in_sync_group
        x = tf.cast(i, tf.float32) + 1.0
        return distribution.all_reduce_sum(
            {'a': x, 'b': (tf.stack([x, -x]), [tf.cast(x, tf.int64)]), 'c': ()}
        )

      return strategy.run(replica_fn)

    total = [0, 1, 3, 6][num_replicas]
    results = run()
    sums = distribution.first_replica(strategy, results)
    self.assertEqual(float(sums['a']), total)
    np.testing.assert_array_equal(sums['b'][0], [total, -total])
    self.assertEqual(sums['b'][1][0].dtype, tf.int64)
    self.assertEqual(int(sums['b'][1][0]), total)
    self.assertEqual(sums['c'], ())
    for each in strategy.experimental_local_results(results['a']):
      self.assertEqual(float(each), total)

  def test_outside_of_a_replica_there_is_nothing_to_add(self):
    values = {'a': tf.constant(2.0)}
    with virtual_devices.mirrored(2).scope():
      self.assertIs(distribution.all_reduce_sum(values), values)
    self.assertEqual(float(distribution.all_reduce_sum(values)['a']), 2.0)

  def test_two_strategies_in_one_process(self):
    for num_replicas in (2, 3, 2):
      strategy = virtual_devices.mirrored(num_replicas)
      total = tf.function(
          lambda s=strategy: s.run(
              lambda: distribution.all_reduce_sum(tf.ones([]))
          )
      )()
      self.assertEqual(
          float(distribution.first_replica(strategy, total)), num_replicas
      )


class BroadcastTest(parameterized.TestCase):

  @parameterized.parameters(1, 2, 3)
  def test_all_have_the_bits_of_the_first(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    with strategy.scope():
      variables = [tf.Variable([0.1, np.inf]), tf.Variable(3, dtype=tf.int64)]
    for variable in variables:
      for index, copy in enumerate(variable.values[1:]):
        copy.assign(copy * 3 * index)
    distribution.broadcast(strategy, variables)
    self.assertEmpty(distribution.unequal_replicas(dict(enumerate(variables))))
    np.testing.assert_array_equal(variables[0], np.float32([0.1, np.inf]))
    self.assertEqual(int(variables[1].values[-1]), 3)


class UnequalReplicasTest(absltest.TestCase):

  def test_finds_what_was_planted(self):
    strategy = virtual_devices.mirrored(3)
    with strategy.scope():
      variables = {
          'equal': tf.Variable([1.0, np.nan]),
          'planted': tf.Variable([1.0, 2.0]),
          'count': tf.Variable(3),
      }
    variables['not_mirrored'] = tf.Variable(1.0)
    self.assertEqual(distribution.unequal_replicas(variables), [])
    variables['planted'].values[2].assign([1.0, 2.0000002])
    self.assertEqual(distribution.unequal_replicas(variables), ['planted'])


if __name__ == '__main__':
  absltest.main()
