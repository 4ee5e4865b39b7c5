"""Tests of the floor: the products of a step are those of training."""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.benchmarks import cases
from tests.benchmarks.contenders import products, quatrain_core


def _normal(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class ProductsTest(parameterized.TestCase):

  @parameterized.parameters(*cases.CASES)
  def test_each_is_that_of_a_layer(self, name):
    case = cases.CASES[name]
    model = quatrain_core._model(case)
    model.build([None, *cases.IMAGE_SHAPE])
    expected = [
        w.shape for w in model.trainable_variables if w.shape.rank in (2, 4)
    ]
    if case.has_convolutions:
      actual = [filters for _, filters, _, _ in products.convolutions(case)]
      # A dense layer is a convolution of one pixel.
      expected = [[1, 1, *w] if w.rank == 2 else w for w in expected]
    else:
      sizes = products._dense_sizes(case)
      actual = list(itertools.pairwise(sizes))
    self.assertCountEqual(map(tuple, actual), map(tuple, expected))

  @parameterized.parameters(
      ('cnn_b128', [(28, 1, 'VALID'), (26, 1, 'VALID'), (1, 1, 'SAME'),
                    (1, 1, 'SAME')]),
      ('cpu_recipe', [(28, 1, 'SAME'), (14, 1, 'SAME'), (1, 1, 'SAME'),
                      (1, 1, 'SAME')]),
  )
  def test_of_images_of_a_size(self, name, expected):
    found = products.convolutions(cases.CASES[name])
    self.assertEqual(
        [(shape[1], stride, pad) for shape, _, stride, pad in found], expected
    )
    self.assertEqual({shape[0] for shape, *_ in found}, {128})

  def test_of_a_residual_network(self):
    sizes = [
        (shape[1:], filters[0], stride)
        for shape, filters, stride, _ in products.convolutions(
            cases.CASES['resnet_b128']
        )
    ]
    self.assertLen(sizes, 16)
    self.assertEqual(
        sizes[5:8],
        [([28, 28, 16], 1, 2), ([28, 28, 16], 3, 2), ([14, 14, 32], 3, 1)],
    )
    self.assertEqual(sizes[-1], ([1, 1, 64], 1, 1))

  def test_products_are_those_of_gradients(self):
    inputs = tf.constant(_normal(3, 7))
    weights = [tf.constant(_normal(*shape)) for shape in ((7, 5), (5, 4))]
    with tf.GradientTape() as tape:
      tape.watch(weights)
      # Its derivative by the outputs are the outputs.
      half = tf.nn.l2_loss(inputs @ weights[0] @ weights[1])
    for actual, expected in zip(
        products._dense_step(inputs, weights), tape.gradient(half, weights),
        strict=True,
    ):
      np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)

  @parameterized.parameters((1, 'SAME'), (2, 'SAME'), (1, 'VALID'))
  def test_convolutions_are_those_of_gradients(self, stride, padding):
    inputs = tf.constant(_normal(2, 8, 8, 3))
    filters = tf.constant(_normal(3, 3, 3, 4))
    with tf.GradientTape() as tape:
      tape.watch(filters)
      half = tf.nn.l2_loss(tf.nn.conv2d(inputs, filters, stride, padding))
    actual = products._convolution_step(inputs, filters, stride, padding)
    np.testing.assert_allclose(
        actual, tape.gradient(half, filters), rtol=1e-3, atol=1e-3
    )


if __name__ == '__main__':
  absltest.main()
