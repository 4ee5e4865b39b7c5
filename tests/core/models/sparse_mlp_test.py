"""Tests of the perceptron of a sparse bag of words."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import models, variables


def _bag(size=5, num_words=30):
  generator = np.random.default_rng(0)
  bag = generator.poisson(0.2, [size, num_words])
  return bag.astype(np.float32)


class SparseMLPTest(parameterized.TestCase):

  @parameterized.parameters((), (6,), (6, 5))
  def test_equals_the_mlp_of_the_dense_bag(self, *hidden_sizes):
    sparse = models.create('sparse_mlp', 4, hidden_sizes=hidden_sizes)
    dense = models.create('mlp', 4, hidden_sizes=hidden_sizes)
    bag = _bag()
    dense.build((None, bag.shape[1]))
    sparse.build((None, bag.shape[1]))
    parts = [*dense.hidden, dense.output]
    self.assertLen(sparse.layers, len(parts))
    for ours, theirs in zip(sparse.layers, parts):
      theirs.linear.w.assign(ours.linear.w)
    expected = dense(bag, is_training=False)
    for inputs in (tf.sparse.from_dense(bag), bag):
      np.testing.assert_allclose(
          sparse(inputs, is_training=False), expected, rtol=1e-4, atol=1e-6
      )

  def test_the_gradient_of_the_first_layer_is_sparse(self):
    model = models.create('sparse_mlp', 4)
    bag = _bag()
    with tf.GradientTape() as tape:
      logits = model(tf.sparse.from_dense(bag), is_training=True)
    gradients = tape.gradient(logits, variables.trainable(model))
    first = gradients['layers/0/linear/w']
    self.assertIsInstance(first, tf.IndexedSlices)
    self.assertLen(first.indices, np.count_nonzero(bag))

  def test_dropout(self):
    model = models.create('sparse_mlp', 4, dropout_rate=0.5)
    bag = tf.sparse.from_dense(_bag())
    one = model(bag, is_training=True, seed=[0, 1])
    np.testing.assert_array_equal(model(bag, True, [0, 1]), one)
    self.assertGreater(np.abs(one - model(bag, True, [0, 2])).max(), 1e-3)
    with self.assertRaisesRegex(ValueError, 'seed: '):
      model(bag, is_training=True)

  def test_shapes(self):
    model = models.create('sparse_mlp', 4)
    self.assertEqual(model.input_names, ('bag',))
    self.assertEqual(model.output_shape((None, 30)), (None, 4))
    with self.assertRaisesRegex(ValueError, 'input_shape: only the batch size'):
      models.create('sparse_mlp', 4).build((None, None))
    with self.assertRaisesRegex(ValueError, 'input_shape: .* built for 30'):
      model(tf.sparse.from_dense(_bag(num_words=31)), is_training=False)

  @parameterized.parameters(
      ({'hidden_sizes': (0,)}, 'hidden_sizes'),
      ({'activation': 'step'}, 'activation'),
      ({'dropout_rate': 1.0}, 'rate'),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      models.create('sparse_mlp', 10, **arguments)


if __name__ == '__main__':
  absltest.main()
