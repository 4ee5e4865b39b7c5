"""Tests of padding: layers that compare examples do not see it.

Covers: resident_data.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, optimizers, padding, resident
from tests.core import runs


class PaddingTest(parameterized.TestCase, tf.test.TestCase):

  def test_counted(self):
    weight = tf.constant([[0.0, 2.0], [0.0, 0.0], [-1.0, 0.0]])
    self.assertIsNone(padding.counted(tf.zeros([3, 1])))
    with padding.of(weight):
      self.assertAllEqual(padding.counted(tf.zeros([3, 1])), [1, 0, 1])
      self.assertIsNone(padding.counted(tf.zeros([6, 1])))
      with padding.of(None):
        self.assertIsNone(padding.counted(tf.zeros([3, 1])))
    self.assertIsNone(padding.counted(tf.zeros([3, 1])))

  def test_split(self):
    batch = {'x': 1, padding.IS_PADDED: False}
    self.assertEqual(padding.split(batch), ({'x': 1}, False))
    self.assertEqual(padding.split({'x': 1}), ({'x': 1}, True))

  def test_batch_norm(self):
    x = tf.constant([[1.0], [9.0], [3.0]])
    norms = [layers.BatchNorm() for _ in range(2)]
    with padding.of(tf.constant([1.0, 0.0, 0.5])):
      y = norms[0](x, is_training=True)
    expected = norms[1](x[::2], is_training=True)
    self.assertAllClose(y[::2], expected)
    self.assertAllClose(norms[0].moving_mean, norms[1].moving_mean)

  @parameterized.parameters('convnet', 'resnet')
  @pytest.mark.medium
  def test_a_model_on_replicas_that_do_not_divide_the_batch(self, name):
    """Its batch norm's statistics are those of the batch."""
    results = {}
    for num_replicas in (1, 3):
      optimizer = optimizers.sgd(0.05)
      run = runs.make(name, optimizer, num_replicas)
      [batch] = runs.batches(run.model, 1, 8)
      del batch['weight']
      train = resident.make_train_loop(
          run.state,
          run.objective,
          optimizer,
          run.metric,
          batch,
          run.strategy,
          jit='off',
      )
      sums, _ = train(resident.batched(np.arange(8), 4), epoch=0)
      results[num_replicas] = run.weights(), sums
    tf.nest.map_structure(
        lambda one, three: np.testing.assert_allclose(
            three, one, rtol=1e-4, atol=1e-5
        ),
        results[1],
        results[3],
    )

  def test_the_last_batch_of_an_epoch(self):
    """One replica counts no example twice, whatever the row is filled with."""
    weights = []
    for rows in ([[0, 1, 2, -1]], [[0, 1, 2]]):
      optimizer = optimizers.sgd(0.05)
      run = runs.make('resnet', optimizer)
      [batch] = runs.batches(run.model, 1, 4)
      del batch['weight']
      train = resident.make_train_loop(
          run.state, run.objective, optimizer, run.metric, batch, jit='off'
      )
      train(tf.constant(rows), epoch=0)
      weights.append(run.weights())
    for name, value in weights[0].items():
      np.testing.assert_allclose(
          value, weights[1][name], rtol=1e-4, atol=1e-5, err_msg=name
      )

  def test_full_batches_look_at_no_weight(self):
    """The step is traced once for full batches, and once for others."""
    run = runs.make('mlp')
    [batch] = runs.batches(run.model, 1, 4)
    del batch['weight']
    calls = []

    def objective(model, batch, seed, is_training):
      calls.append(set(batch))
      return run.objective(model, batch, seed, is_training)

    train = resident.make_train_loop(
        run.state, objective, optimizers.sgd(0.1), run.metric, batch, jit='off'
    )
    names = {*batch, 'index', 'epoch', 'weight'}
    calls.clear()
    for rows in ([[0, 1]], [[2, 3]], [[2, -1]], [[0, -1]]):
      sums, _ = train(tf.constant(rows), epoch=0)
      self.assertEqual(sums['weight'], np.sum(np.array(rows) >= 0))
    self.assertEqual(calls, [names, names])


if __name__ == '__main__':
  absltest.main()
