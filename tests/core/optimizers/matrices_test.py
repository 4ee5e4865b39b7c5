"""Optimizers that treat matrices as matrices: Muon, Adafactor, LARS, LAMB.

Covers: factored, layerwise, orthogonal, root_mean_square.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers


class MatricesTest(parameterized.TestCase):

  @parameterized.parameters(((6, 4),), ((4, 6),), ((5, 5),))
  def test_orthogonalize_brings_singular_values_near_1(self, shape):
    random = np.random.default_rng(0)
    matrix = tf.constant(random.normal(size=shape), tf.float32)
    result = optimizers.orthogonalize(matrix, ns_steps=8)
    values = np.linalg.svd(result, compute_uv=False)
    self.assertBetween(min(values), 0.6, 1.3)
    self.assertBetween(max(values), 0.6, 1.3)
    # The singular vectors stay: the product with the input is symmetric.
    product = tf.matmul(result, matrix, transpose_b=True).numpy()
    np.testing.assert_allclose(product, product.T, atol=2e-4)
    np.testing.assert_allclose(
        optimizers.orthogonalize(tf.transpose(matrix), ns_steps=8),
        tf.transpose(result),
        atol=1e-5,
    )

  def test_muon_s_filters_are_matrices_from_patches_to_channels(self):
    random = np.random.default_rng(0)
    filters = tf.constant(random.normal(size=[3, 3, 2, 4]), tf.float32)
    matrix = tf.reshape(filters, [18, 4])
    optimizer = optimizers.muon(0.1)
    steps = []
    for tensor in (filters, matrix):
      weights = {'b': tf.ones([4]), 'w': tensor}
      state = optimizer.init(weights)
      updates, _ = optimizer.update(weights, state, weights)
      steps.append(updates['w'])
      orthogonal, otherwise = state.inner_states
      self.assertEqual(list(orthogonal[0].mu), ['w'])
      self.assertEqual(list(otherwise[0].mu), ['b'])
    np.testing.assert_array_equal(tf.reshape(steps[0], [18, 4]), steps[1])

  def test_muon_in_bfloat16_is_muon_to_its_precision(self):
    random = np.random.default_rng(0)
    weights = {'w': tf.constant(random.normal(size=[3, 3, 8, 16]), tf.float32)}
    updates = []
    for ns_dtype in (None, 'bfloat16'):
      optimizer = optimizers.muon(0.1, ns_steps=3, ns_dtype=ns_dtype)
      update = tf.function(optimizer.update, jit_compile=True)
      value, _ = update(weights, optimizer.init(weights), weights)
      updates.append(value['w'])
    self.assertEqual(updates[1].dtype, tf.float32)
    difference = np.abs(updates[1] - updates[0])
    self.assertBetween(difference.max(), 1e-6, 3e-3)

  @parameterized.parameters(1e-6, 1.0, 6e4)
  def test_muon_in_float16_is_muon_whatever_the_size(self, size):
    matrix = np.random.default_rng(0).uniform(-1, 1, (40, 50)) * size
    exact = optimizers.orthogonalize(tf.constant(matrix, tf.float32))
    half = optimizers.orthogonalize(tf.constant(matrix, tf.float16))
    tolerance = 0.2 if size < 1e-5 else 0.02  # float16 has few digits there.
    np.testing.assert_allclose(half, exact, 0, tolerance)
    for scale in (1.0, 1e6):
      gradients = {'w': tf.constant(matrix * scale, tf.float32)}
      transform = optimizers.scale_by_muon(ns_dtype='float16')
      updates, _ = transform.update(
          gradients, transform.init(gradients), gradients
      )
      np.testing.assert_allclose(updates['w'], np.sqrt(1.25) * exact, 0, 0.02)

  def test_adam_follows_the_schedule_of_muon(self):
    weights = {'b': tf.ones([2]), 'w': tf.eye(2)}
    optimizer = optimizers.muon(
        lambda step: 1 / (1 + step), nesterov=False, adam_factor=0.01
    )
    state = optimizer.init(weights)
    for expected in (0.01, 0.005):  # Adam's steps of equal gradients.
      updates, state = optimizer.update(weights, state, weights)
      np.testing.assert_allclose(updates['b'], [-expected] * 2, rtol=1e-4)

  def test_muon_refuses_vectors(self):
    optimizer = optimizers.muon(0.1, muon_mask='.*')
    with self.assertRaisesRegex(ValueError, "^muon_mask: .*'b'"):
      optimizer.init({'b': tf.ones([4])})

  def test_adafactor_keeps_rows_and_columns(self):
    weights = {
        'b': tf.ones([200]),
        'filters': tf.ones([3, 3, 130, 140]),
        'small/w': tf.ones([127, 500]),
        'w': tf.ones([128, 500]),
    }
    state = optimizers.adafactor(0.1).init(weights)
    shapes = {
        path: [tuple(mean.shape) for mean in means]
        for path, means in state[0].v.items()
    }
    self.assertEqual(
        shapes,
        {
            'b': [(200,)],
            'filters': [(3, 3, 130), (3, 3, 140)],
            'small/w': [(127, 500)],
            'w': [(128,), (500,)],
        },
    )

  def test_trust_ratio_by_hand_and_where_a_norm_is_0(self):
    transform = optimizers.scale_by_trust_ratio(trust_coefficient=0.5)
    updates, _ = transform.update(
        dict(zip('abc', tf.constant([[0.0, 2], [0, 0], [1, 2]]))),
        (),
        dict(zip('abc', tf.constant([[3.0, 4], [3, 4], [0, 0]]))),
    )
    np.testing.assert_allclose(updates['a'], [0.0, 2.5])
    np.testing.assert_allclose(updates['b'], [0.0, 0.0])
    np.testing.assert_allclose(updates['c'], [1.0, 2.0])

  def test_centered_rmsprop_of_a_constant_gradient_is_finite(self):
    optimizer = optimizers.rmsprop(
        0.1, eps=1e-12, centered=True, bias_correction=True
    )
    weights = {'w': tf.constant([300.0, 1e-3, 7.7])}
    state = optimizer.init(weights)
    for _ in range(20):
      updates, state = optimizer.update(weights, state, weights)
      self.assertTrue(np.all(np.isfinite(updates['w'])))


if __name__ == '__main__':
  absltest.main()
