"""Tests of the floor: it computes the products of training, all of them."""

from __future__ import annotations

import dataclasses

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import compilation
from tests.benchmarks import cases
from tests.benchmarks.contenders import products


def _found(name, batch_size=4):
  case = dataclasses.replace(cases.CASES[name], batch_size=batch_size)
  return products.products(products.trace(case))


class ProductsTest(parameterized.TestCase):

  def test_of_a_dense_network(self):
    self.assertEqual(
        [(each.inputs, each.weights) for each in _found('mlp_b128', 128)],
        [
            ([128, 784], [784, 300]),
            ([128, 300], [300, 100]),
            ([128, 100], [100, 10]),
        ],
    )

  @parameterized.parameters(
      # Pixels less the border of VALID, halved by each pool.
      ('cnn_b128', [28, 26], [26, 24], 12 * 12 * 64),
      ('cpu_recipe', [28, 14], [28, 14], 7 * 7 * 64),
  )
  def test_of_images(self, name, sides, outputs, num_flat):
    *convolutions, dense, last = _found(name)
    for each, side, output in zip(convolutions, sides, outputs, strict=True):
      self.assertEqual(each.inputs[:3], [4, side, side])
      y = each.function(tf.zeros(each.inputs), tf.zeros(each.weights))
      self.assertEqual(y.shape[1:3].as_list(), [output, output])
    self.assertEqual(dense.weights, [num_flat, 128])
    self.assertEqual(last.weights, [128, 10])

  def test_of_a_residual_network(self):
    found = _found('resnet_b128')
    # A stem, two of each of six blocks, two shortcuts, a dense layer.
    self.assertLen(found, 1 + 12 + 2 + 1)
    shortcuts = [each.weights for each in found if each.weights[0] == 1]
    self.assertEqual(shortcuts, [[1, 1, 16, 32], [1, 1, 32, 64]])
    self.assertEqual(found[-1].weights, [64, 10])

  @parameterized.parameters('mlp_b128', 'cnn_b128', 'resnet_b128')
  def test_nothing_is_left_out(self, name):
    found = _found(name)
    epoch = products.make_epoch(found, tf.float32, jit_compile=True)
    program = epoch.experimental_get_compiler_ir(tf.constant(3))(
        stage='optimized_hlo'
    )
    # Of each the outputs and two gradients, but for that of the images.
    count = program.count(' dot(') + program.count(' convolution(')
    self.assertEqual(count, 3 * len(found) - 1)

  def test_it_is_a_loop_of_tensorflow_s_own_operations_as_well(self):
    found = _found('cnn_b128')
    epoch = products.make_epoch(found, tf.float32, jit_compile=False)
    traced = epoch.get_concrete_function(tf.TensorSpec([], tf.int32))
    self.assertContainsSubset(
        {'Conv2D', 'Conv2DBackpropInput', 'Conv2DBackpropFilter', 'MatMul'},
        compilation.operations(traced),
    )
    self.assertEqual(
        float(epoch(tf.constant(2))), 4 * 28 * 28, 'The images stay.'
    )


if __name__ == '__main__':
  absltest.main()
