"""Tests of the dense layer of sparse inputs: the dense layer's numbers."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, variables
from tests import virtual_devices


def _bag(size=6, num_inputs=20, seed=0):
  """Draws a matrix with an empty row and an empty column."""
  generator = np.random.default_rng(seed)
  bag = generator.normal(size=(size, num_inputs))
  bag *= generator.uniform(size=bag.shape) < 0.3
  bag[min(1, size - 1)] = 0
  bag[:, 3] = 0
  return bag.astype(np.float32)


def _layers(**kwargs):
  """Makes a sparse and a dense layer with the same variables."""
  pair = layers.SparseDense(4, 'tanh', **kwargs), layers.Dense(
      4, 'tanh', **kwargs
  )
  for layer in pair:
    layer.build([None, 20])
  for ours, theirs in zip(pair[0].variables, pair[1].variables):
    ours.assign(np.random.default_rng(1).normal(size=ours.shape))
    theirs.assign(ours)
  return pair


class SparseDenseTest(parameterized.TestCase):

  @parameterized.product(with_bias=(True, False), jit=(None, False, True))
  def test_equals_dense(self, with_bias, jit):
    sparse, dense = _layers(with_bias=with_bias)
    call = sparse if jit is None else tf.function(sparse, jit_compile=jit)
    bag = _bag()
    np.testing.assert_allclose(
        call(tf.sparse.from_dense(bag)), dense(bag), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(sparse(bag), dense(bag))

  def test_entries_in_any_order_named_twice_add_up(self):
    sparse, dense = _layers()
    indices, values = [[1, 5], [0, 2], [1, 5], [0, 0]], [1.0, 2.0, 0.5, -1.0]
    inputs = tf.SparseTensor(indices, values, [2, 20])
    bag = np.zeros([2, 20], np.float32)
    np.add.at(bag, tuple(np.transpose(indices)), values)
    np.testing.assert_allclose(sparse(inputs), dense(bag), rtol=1e-5)

  @parameterized.parameters(None, False, True)
  def test_gradients_equal_dense_and_are_sparse(self, jit):
    sparse, dense = _layers()
    bag = _bag()

    def gradients(layer, inputs):
      with tf.GradientTape() as tape:
        tape.watch(getattr(inputs, 'values', inputs))
        loss = tf.reduce_sum(layer(inputs) ** 2)
      sources = [
          getattr(inputs, 'values', inputs),
          layer.linear.w,
          layer.linear.b,
      ]
      return tape.gradient(loss, sources)

    expected = gradients(dense, tf.constant(bag))
    run = gradients
    if jit is not None:
      run = tf.function(gradients, jit_compile=jit)
    values, w, b = run(sparse, tf.sparse.from_dense(bag))
    if not jit:  # XLA has no sparse results.
      self.assertIsInstance(w, tf.IndexedSlices)
      self.assertEqual(set(w.indices.numpy()), set(np.nonzero(bag)[1]))
    np.testing.assert_allclose(
        tf.convert_to_tensor(w), expected[1], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(b, expected[2], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        values, expected[0].numpy()[bag != 0], rtol=1e-4, atol=1e-5
    )

  @parameterized.parameters(1, 2, 3)
  def test_replicas_have_together_the_gradient_of_one(self, num_replicas):
    bag = _bag(size=6)
    strategy = virtual_devices.mirrored(num_replicas)
    with strategy.scope():
      sparse, _ = _layers()
    _, dense = _layers()

    @tf.function
    def run():
      def gradient():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        part = tf.gather(tf.reshape(bag, [num_replicas, -1, 20]), replica)
        with tf.GradientTape() as tape:
          loss = tf.reduce_sum(sparse(tf.sparse.from_dense(part)))
        return tf.convert_to_tensor(tape.gradient(loss, sparse.linear.w))

      return strategy.run(gradient)

    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(dense(bag))
    np.testing.assert_allclose(
        np.sum(strategy.experimental_local_results(run()), axis=0),
        tape.gradient(loss, dense.linear.w),
        rtol=1e-5,
        atol=1e-6,
    )

  def test_unknown_sizes_and_no_values(self):
    sparse, dense = _layers()
    spec = tf.SparseTensorSpec([None, 20], tf.float32)
    call = tf.function(sparse, input_signature=[spec])
    for bag in (_bag(), _bag(size=1), np.zeros([3, 20], np.float32)):
      np.testing.assert_allclose(
          call(tf.sparse.from_dense(bag)), dense(bag), rtol=1e-5, atol=1e-6
      )

  @parameterized.parameters(tf.float16, tf.float64, tf.int32)
  def test_values_of_other_types(self, dtype):
    sparse, dense = _layers()
    bag = np.round(_bag())
    inputs = tf.cast(tf.sparse.from_dense(bag), dtype)
    np.testing.assert_allclose(sparse(inputs), dense(bag), rtol=1e-5)

  def test_names_and_shapes_are_those_of_dense(self):
    sparse, dense = _layers()
    self.assertEqual(
        variables.named(sparse).keys(), variables.named(dense).keys()
    )
    self.assertEqual(sparse.output_shape([None, 20]), (None, 4))

  def test_wrong_inputs(self):
    sparse, _ = _layers()
    with self.assertRaisesRegex(ValueError, 'input_shape: .* built for 20'):
      sparse(tf.sparse.from_dense(_bag(num_inputs=19)))
    with self.assertRaisesRegex(ValueError, 'inputs: expected a sparse matrix'):
      sparse(tf.sparse.from_dense(np.ones([2, 3, 20], np.float32)))


if __name__ == '__main__':
  absltest.main()
