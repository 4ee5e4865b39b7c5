"""Tests of patches and their positions."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, variables
from tests import virtual_devices


def _draw(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class SincosPositionsTest(parameterized.TestCase):

  def test_values_by_hand(self):
    table = layers.sincos_positions(2, 3, 8, temperature=100.0)
    self.assertEqual(table.shape, (6, 8))
    y, x = 1, 2
    np.testing.assert_allclose(
        table[y * 3 + x],
        [
            np.sin(x),
            np.sin(x / 100),
            np.cos(x),
            np.cos(x / 100),
            np.sin(y),
            np.sin(y / 100),
            np.cos(y),
            np.cos(y / 100),
        ],
        rtol=1e-6,
    )

  def test_positions_differ_and_neighbours_are_alike(self):
    table = layers.sincos_positions(7, 7, 64)
    products = table @ table.T
    np.testing.assert_allclose(np.diag(products), 32, rtol=1e-5)
    np.fill_diagonal(products, 0)
    self.assertLess(products.max(), 31.9)
    self.assertIn(np.argmax(products[24]), (17, 23, 25, 31))

  @parameterized.parameters((0, 'at least 1'), (6, 'a multiple of 4'))
  def test_a_wrong_size(self, size, expected):
    with self.assertRaisesRegex(ValueError, f'size: .*{expected}, got {size}'):
      layers.sincos_positions(2, 2, size)


class PatchEmbeddingTest(parameterized.TestCase):

  @parameterized.product(
      position=('learned', 'sincos', 'none'), sides=((4, 6), (2, 2))
  )
  def test_is_a_dense_layer_on_each_patch(self, position, sides):
    x = _draw(3, *sides, 2)
    embedding = layers.PatchEmbedding(2, 8, position)
    embedding.build((None, *sides, 2))
    w = embedding.convolution.w.numpy().reshape([-1, 8])
    embedding.convolution.b.assign(_draw(8))
    rows, columns = (side // 2 for side in sides)
    table = {
        'none': np.zeros([rows * columns, 8]),
        'sincos': layers.sincos_positions(rows, columns, 8),
    }.get(position)
    if position == 'learned':
      self.assertLess(np.abs(embedding.table).max(), 0.05)
      table = _draw(rows * columns, 8)
      embedding.table.assign(table)
    expected = (
        np.stack(
            [
                x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape([3, -1]) @ w
                + _draw(8)
                for i in range(rows)
                for j in range(columns)
            ],
            axis=1,
        )
        + table
    )
    for run in (
        embedding,
        tf.function(embedding),
        tf.function(embedding, jit_compile=True),
        tf.function(
            embedding, input_signature=[tf.TensorSpec([None, *sides, 2])]
        ),
    ):
      np.testing.assert_allclose(
          run(tf.constant(x)), expected, rtol=1e-4, atol=1e-5
      )
    self.assertEqual(embedding.output_shape(x.shape), expected.shape)
    self.assertLen(
        variables.trainable(embedding), 3 if position == 'learned' else 2
    )

  def test_build_under_a_strategy(self):
    with virtual_devices.mirrored(2).scope():
      embedding = layers.PatchEmbedding(4, 8)
      embedding.build([None, 8, 8, 1])
    self.assertLen(embedding.variables, 3)
    for variable in embedding.variables:
      np.testing.assert_array_equal(*variable.values)

  def test_another_number_of_patches(self):
    embedding = layers.PatchEmbedding(2, 8)
    embedding(tf.ones([1, 4, 4, 1]))
    with self.assertRaisesRegex(ValueError, r'built for 4 .*\(1, 4, 6, 1\)'):
      embedding(tf.ones([1, 4, 6, 1]))
    free = layers.PatchEmbedding(2, 8, 'sincos')
    self.assertEqual(free(tf.ones([1, 4, 4, 1])).shape, [1, 4, 8])
    self.assertEqual(free(tf.ones([1, 4, 6, 1])).shape, [1, 6, 8])

  @parameterized.parameters(
      ((0, 8), 'patch_size: .*0'),
      ((2, 0), 'hidden_size: .*0'),
      ((2, 6, 'sincos'), 'hidden_size: .*6'),
      ((2, 8, 'rotary'), "position: unknown 'rotary'; known: learned"),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      layers.PatchEmbedding(*arguments)

  def test_wrong_images(self):
    embedding = layers.PatchEmbedding(4, 8)
    with self.assertRaisesRegex(ValueError, 'patch_size: 4 .* 8 x 6; choose'):
      embedding.build([None, 8, 6, 1])
    for shape in ([None, 8, None, 1], [8, 8, 1]):
      with self.assertRaisesRegex(ValueError, 'input_shape: .*batch size'):
        embedding.output_shape(shape)


if __name__ == '__main__':
  absltest.main()
