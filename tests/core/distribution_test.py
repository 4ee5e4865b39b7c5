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

# How five examples are divided among one, two and three replicas.
_SIZES = {1: (5,), 2: (4, 1), 3: (3, 0, 2)}
_EXAMPLES = np.random.default_rng(0).normal(size=(5, 2))
_DIRECTION = np.random.default_rng(1).normal(size=(5, 2))
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


def _parts(strategy, array):
  """Divides an array among replicas by `_SIZES`."""
  sizes = _SIZES[strategy.num_replicas_in_sync]
  parts = np.split(array, np.cumsum(sizes)[:-1])
  return strategy.experimental_distribute_values_from_function(
      lambda context: tf.constant(parts[context.replica_id_in_sync_group])
  )


def _operations(function):
  """Lists the names of the operations of a function of a vector."""
  traced = function.get_concrete_function(tf.TensorSpec([3]))
  return [operation.name for operation in traced.graph.get_operations()]


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

  @parameterized.parameters(2, 3)
  def test_each_call_is_of_one_dtype(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    calls = []
    all_reduce = tf.distribute.ReplicaContext.all_reduce

    def recorded(context, reduce_op, values):
      calls.append([value.dtype for value in values])
      return all_reduce(context, reduce_op, values)

    values = [1.5, np.int64(2), np.float64(3), 4.5, 6, np.int32(7)]
    with mock.patch.object(
        tf.distribute.ReplicaContext, 'all_reduce', recorded
    ):
      sums = tf.function(
          lambda: strategy.run(lambda: distribution.all_reduce_sum(values))
      )()
    sums = distribution.first_replica(strategy, sums)
    self.assertEqual(
        [float(total) for total in sums],
        [num_replicas * value for value in values],
    )
    self.assertEqual(sums[-1].dtype, tf.int32)
    # All call once for each dtype, in their order.
    for replica in range(num_replicas):
      self.assertEqual(
          calls[replica::num_replicas],
          [[tf.float32] * 2, [tf.int64] * 3, [tf.float64]],
      )

  @parameterized.parameters(
      distribution.all_reduce_sum, distribution.all_gather
  )
  def test_outside_of_a_replica_there_is_nothing_to_reduce(self, reduce):
    values = {'a': tf.constant([2.0])}
    self.assertIs(reduce(values), values)
    with virtual_devices.mirrored(2).scope():
      self.assertIs(reduce(values), values)

  @parameterized.parameters(
      distribution.all_reduce_sum, distribution.all_gather
  )
  def test_a_graph_tells_that_it_reduces(self, reduce):
    def function(x):
      with tf.GradientTape() as tape:
        tape.watch(x)
        y = reduce({'a': x * 2})['a']
      return y, tape.gradient(y, x)

    with virtual_devices.mirrored(2).scope():
      marked = tf.function(function)
      names = _operations(marked)
      y, gradient = marked(tf.constant([1.0, 2.0, 3.0]))
    self.assertNotEmpty([n for n in names if distribution.REDUCTION in n])
    np.testing.assert_array_equal(y, [2, 4, 6])
    np.testing.assert_array_equal(gradient, [2, 2, 2])
    plain = _operations(tf.function(lambda x: x * 2))
    for strategy in (tf.distribute.get_strategy(), virtual_devices.mirrored(1)):
      with strategy.scope():
        names = _operations(
            tf.function(lambda x, s=strategy: s.run(lambda: reduce(x * 2)))
        )
      self.assertEqual(
          [n for n in names if distribution.REDUCTION in n], [], strategy
      )
      self.assertLen(names, len(plain))

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


class AllStackTest(parameterized.TestCase):

  @parameterized.parameters(1, 2, 3)
  def test_values_and_gradients(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)

    def function():
      replica = tf.distribute.get_replica_context().replica_id_in_sync_group
      x = tf.cast(replica, tf.float32) + tf.constant([[1.5, 10.0]])
      undefined = x + tf.where(tf.equal(replica, 0), np.nan, np.inf)
      with tf.GradientTape() as tape:
        tape.watch(x)
        rows = distribution.all_stack(x)
        cubes = tf.reduce_sum(rows**3) * (tf.cast(replica, tf.float32) + 1)
      return (
          rows,
          tape.gradient(cubes, x),
          distribution.all_stack(undefined[0, 0]),
          distribution.all_stack(tf.cast(x, tf.int32)),
      )

    results = tf.function(lambda: strategy.run(function))()
    expected = np.array([[[i + 1.5, i + 10]] for i in range(num_replicas)])
    for replica in range(num_replicas):
      rows, gradient, undefined, integers = (
          strategy.experimental_local_results(result)[replica]
          for result in results
      )
      np.testing.assert_array_equal(rows, expected)
      factor = sum(range(1, num_replicas + 1))
      np.testing.assert_allclose(
          gradient, factor * 3 * expected[replica] ** 2, 1e-6
      )
      np.testing.assert_array_equal(
          undefined, [np.nan] + [np.inf] * (num_replicas - 1)
      )
      self.assertEqual(integers.dtype, tf.int32)
      np.testing.assert_array_equal(integers, expected.astype(int))

  def test_a_graph_tells_that_it_reduces(self):
    with virtual_devices.mirrored(2).scope():
      names = _operations(tf.function(distribution.all_stack))
    self.assertNotEmpty([n for n in names if distribution.REDUCTION in n])


class AllGatherTest(parameterized.TestCase):

  @parameterized.product(num_replicas=(1, 2, 3), is_graph=(False, True))
  def test_values(self, num_replicas, is_graph):
    strategy = virtual_devices.mirrored(num_replicas)
    whole = {
        name: tf.cast(100 * _EXAMPLES, name).numpy()
        for name in ('bfloat16', 'float32', 'float64', 'int8', 'int64')
    }
    whole['nest'] = (_EXAMPLES[:, :1, None] > 0, [np.arange(5, dtype=np.uint8)])
    whole['large'] = np.uint64(2**63) + np.arange(5, dtype=np.uint64)
    whole['undefined'] = np.float32([np.nan, np.inf, -np.inf, 0, 1e-30])
    parts = tf.nest.map_structure(lambda x: _parts(strategy, x), whole)
    gather = lambda parts: strategy.run(distribution.all_gather, (parts,))
    results = (tf.function(gather) if is_graph else gather)(parts)
    local = strategy.experimental_local_results
    for replica in range(num_replicas):
      actual = tf.nest.map_structure(
          lambda value, i=replica: local(value)[i], results
      )
      tf.nest.assert_same_structure(actual, whole)
      for some, expected in zip(
          tf.nest.flatten(actual), tf.nest.flatten(whole), strict=True
      ):
        self.assertEqual(some.dtype, expected.dtype)
        np.testing.assert_array_equal(some, expected)

  def test_gradients(self):
    """Each example is compared with all: what one replica makes of it."""

    def derivatives(x, direction):
      with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
          inner.watch(x)
          others, _, unused = distribution.all_gather(
              (x**2, tf.range(tf.shape(x)[0]), x)
          )
          del unused
          values = tf.sin(tf.matmul(x, others, transpose_b=True))
          value = tf.reduce_sum(values)
        gradient = inner.gradient(value, x)
        slope = tf.reduce_sum(gradient * direction)
      return gradient, outer.gradient(slope, x)

    expected = derivatives(tf.constant(_EXAMPLES), tf.constant(_DIRECTION))
    for num_replicas in _SIZES:
      strategy = virtual_devices.mirrored(num_replicas)
      parts = [_parts(strategy, x) for x in (_EXAMPLES, _DIRECTION)]
      results = tf.function(lambda *x, s=strategy: s.run(derivatives, x))(
          *parts
      )
      for actual, whole in zip(results, expected, strict=True):
        parts = strategy.experimental_local_results(actual)
        np.testing.assert_allclose(
            np.concatenate(parts), whole, 1e-12, err_msg=num_replicas
        )

  def test_what_is_known_of_the_shape(self):
    strategy = virtual_devices.mirrored(2)
    shapes = []

    def function(x):
      gathered = distribution.all_gather(x)
      shapes.append(gathered.shape.as_list())
      return gathered

    tf.function(
        lambda x: strategy.run(function, (x,)),
        input_signature=[tf.TensorSpec([None, 2, 4])],
    )(tf.ones([3, 2, 4]))
    self.assertEqual(shapes[0], [None, 2, 4])

  @parameterized.parameters(1, 2)
  def test_bad_values(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    for value, error in (
        (tf.constant(1.0), ValueError),
        (1.0, ValueError),
        (tf.constant(['a']), TypeError),
    ):
      with self.assertRaisesRegex(error, 'values: expected'):
        strategy.run(lambda x=value: distribution.all_gather({'a': x}))


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
