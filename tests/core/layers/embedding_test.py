"""Tests of embeddings: rows of a table, and ids that have none."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, variables
from tests import virtual_devices


class EmbeddingTest(parameterized.TestCase):

  @parameterized.product(
      dtype=('int32', 'int64', 'uint8', 'int16'), jit=(None, False, True)
  )
  def test_takes_rows(self, dtype, jit):
    layer = layers.Embedding(300, 4)
    ids = np.array([[3, 0, 3], [124, 7, 6]], dtype)
    layer.build(ids.shape)
    call = layer if jit is None else tf.function(layer, jit_compile=jit)
    expected = layer.table.numpy()[ids]
    np.testing.assert_array_equal(call(tf.constant(ids)), expected)
    self.assertEqual(layer.output_shape(ids.shape), (2, 3, 4))

  def test_gradient_is_of_the_rows_that_were_taken(self):
    layer = layers.Embedding(5, 2)
    with tf.GradientTape() as tape:
      rows = layer(tf.constant([1, 4, 1]))
      loss = tf.reduce_sum(rows * [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.table))
    np.testing.assert_array_equal(
        gradient, [[0, 0], [6, 8], [0, 0], [0, 0], [3, 4]]
    )

  @parameterized.parameters(-1, 5, 2**31 - 1)
  def test_an_id_out_of_range(self, wrong):
    layer = layers.Embedding(5, 2)
    ids = tf.constant([1, wrong])
    with self.assertRaisesRegex(ValueError, rf'ids: .*\[0, 5\), got {wrong}'):
      layer(ids)
    for jit_compile in (False, True):

      @tf.function(jit_compile=jit_compile)
      def step(ids):
        with tf.GradientTape() as tape:
          rows = layer(ids)
        gradient = tape.gradient(rows, layer.table)
        return rows, tf.convert_to_tensor(gradient)

      rows, gradient = step(ids)
      np.testing.assert_array_equal(rows[0], layer.table[1])
      self.assertTrue(np.isnan(rows[1]).all())
      np.testing.assert_array_equal(gradient[:, 0], [0, 1, 0, 0, 0])

  def test_the_table_is_made_by_build_and_can_be_given(self):
    layer = layers.Embedding(3, 2, initializer=tf.ones)
    with virtual_devices.mirrored(2).scope():
      layer.build([None, None])
    self.assertEqual(list(variables.trainable(layer)), ['table'])
    for part in layer.table.values:
      np.testing.assert_array_equal(part, np.ones([3, 2]))

  def test_refuses(self):
    with self.assertRaisesRegex(ValueError, 'vocab_size: .*got 0'):
      layers.Embedding(0, 2)
    with self.assertRaisesRegex(ValueError, 'embed_dim: .*got 0'):
      layers.Embedding(2, 0)
    layer = layers.Embedding(3, 2)
    for ids in (tf.constant([1.0]), tf.constant([True])):
      with self.assertRaisesRegex(TypeError, 'ids: expected integers'):
        layer(ids)
    with self.assertRaisesRegex(ValueError, 'input_shape: .*batch_size'):
      layer(tf.constant(1))


if __name__ == '__main__':
  absltest.main()
