"""Tests of the dense layer: by hand, and against Keras."""

from __future__ import annotations

import keras
import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers
from tests import virtual_devices


def _inputs(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class DenseTest(parameterized.TestCase):

  def test_values_and_gradient_by_hand(self):
    dense = layers.Dense(2, 'relu')
    dense.build([None, 2])
    dense.linear.w.assign([[1.0, -1.0], [2.0, 0.0]])
    dense.linear.b.assign([0.5, -0.5])
    x = tf.constant([[1.0, 2.0], [-1.0, 3.0]])
    with tf.GradientTape() as tape:
      y = dense(x)
    # x w + b = [[5.5, -1.5], [5.5, 0.5]]
    np.testing.assert_array_equal(y, [[5.5, 0.0], [5.5, 0.5]])
    dw, db = tape.gradient(y, [dense.linear.w, dense.linear.b])
    np.testing.assert_array_equal(dw, [[0.0, -1.0], [5.0, 3.0]])
    np.testing.assert_array_equal(db, [2.0, 1.0])

  def test_is_one_product_whatever_the_rank(self):
    dense = layers.Dense(6)
    dense.build([None, 3, 4])

    @tf.function
    def gradient(x):
      return tf.gradients(tf.square(dense(x)), [x, dense.linear.w])

    traced = gradient.get_concrete_function(
        tf.TensorSpec([None, 3, 4], tf.float32)
    )
    operations = [operation.type for operation in traced.graph.get_operations()]
    self.assertEqual(operations.count('MatMul'), 3)  # y, dx and dw.
    self.assertFalse([op for op in operations if op.startswith('BatchMatMul')])
    self.assertEqual(traced(tf.ones([2, 3, 4]))[0].shape, [2, 3, 4])

  @parameterized.product(
      shape=((5, 4), (5, 3, 4), (2, 3, 5, 4)),
      activation=(None, 'tanh'),
      with_bias=(True, False),
  )
  def test_equals_keras(self, shape, activation, with_bias):
    x = _inputs(*shape)
    dense = layers.Dense(
        6,
        activation,
        with_bias=with_bias,
        b_init=snt.initializers.RandomNormal() if with_bias else None,
    )
    dense.build((None, *shape[1:]))
    reference = keras.layers.Dense(6, activation, use_bias=with_bias)
    reference.build(shape)
    weights = [dense.linear.w] + ([dense.linear.b] if with_bias else [])
    reference.set_weights([w.numpy() for w in weights])
    with tf.GradientTape(persistent=True) as tape:
      y, expected = dense(x), reference(x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    sources = [v.value for v in reference.trainable_variables]
    for ours, theirs in zip(
        tape.gradient(y, weights), tape.gradient(expected, sources)
    ):
      np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    self.assertLen(dense.trainable_variables, 1 + with_bias)
    self.assertEqual(dense.output_shape(shape), tuple(y.shape))
    self.assertEqual(
        dense.output_shape((None, *shape[1:])), (None, *y.shape[1:])
    )

  def test_explicit_and_first_use_make_the_same_variables(self):
    x = _inputs(5, 4)
    built, used = (
        layers.Dense(3, w_init=snt.initializers.Ones()) for _ in range(2)
    )
    self.assertFalse(hasattr(built.linear, 'w'))
    built.build([None, 4])
    self.assertLen(built.variables, 2)
    before = [id(v) for v in built.variables]
    np.testing.assert_array_equal(built(x), used(x))
    built.build([7, 9, 4])
    self.assertEqual([id(v) for v in built.variables], before)
    self.assertEqual(
        [v.shape for v in built.variables], [v.shape for v in used.variables]
    )

  def test_default_initializers(self):
    dense = layers.Dense(50)
    dense.build([None, 400])
    w = dense.linear.w.numpy()
    self.assertLess(np.abs(w).max(), 2 / 20 + 1e-6)
    # A normal distribution truncated at two deviations keeps 0.88 of its own.
    self.assertAlmostEqual(w.std(), 0.88 / 20, delta=0.002)
    np.testing.assert_array_equal(dense.linear.b, np.zeros([50]))

  def test_eager_equals_graph_equals_xla(self):
    dense = layers.Dense(6, 'gelu')
    dense.build([None, 4])
    x = tf.constant(_inputs(5, 4))
    for jit_compile in (False, True):
      compiled = tf.function(dense, jit_compile=jit_compile)
      np.testing.assert_allclose(compiled(x), dense(x), rtol=1e-5, atol=1e-6)

  def test_build_under_a_strategy(self):
    with virtual_devices.mirrored(2).scope():
      dense = layers.Dense(3)
      dense.build([None, 4])
    for variable in dense.variables:
      self.assertLen(variable.values, 2)
      np.testing.assert_array_equal(*variable.values)

  @parameterized.parameters(([None, None],), ([4],), ([],), ([4, 4, None],))
  def test_an_input_shape_without_a_size(self, shape):
    with self.assertRaisesRegex(
        ValueError, r'input_shape: expected \[..., num_inputs\].* got \('
    ):
      layers.Dense(3).build(shape)

  def test_another_size_than_it_was_built_for(self):
    dense = layers.Dense(3)
    dense.build([None, 4])
    for method in (dense.build, dense.output_shape):
      with self.assertRaisesRegex(
          ValueError, r'input_shape: .* built for 4 inputs, got \(None, 5\)'
      ):
        method([None, 5])
    with self.assertRaisesRegex(ValueError, 'built for 4 inputs'):
      dense(tf.ones([2, 5]))

  @parameterized.parameters(0, -3)
  def test_a_wrong_number_of_units(self, output_size):
    with self.assertRaisesRegex(ValueError, f'output_size: .*{output_size}'):
      layers.Dense(output_size)

  def test_an_unknown_activation(self):
    with self.assertRaisesRegex(ValueError, "activation: unknown 'nope'"):
      layers.Dense(3, 'nope')


if __name__ == '__main__':
  absltest.main()
