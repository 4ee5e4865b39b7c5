"""Tests of batches in parts; those of steps are in `contracts_test`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import micro_batches, random
from tests import virtual_devices
from tests.core import tasks


def _add_up(batch, size, reduces=False):
  """Sums x, its weight and noise; carries on how many parts there were."""

  def function(part, place, carried):
    x = part['x']
    with random.at(place):
      noise = random.uniform([0, 1], tf.unstack(tf.shape(x)))
      views = random.uniform([0, 2], [2 * tf.shape(x)[0], 3])
    weight = part.get('weight', tf.ones(tf.shape(x)[:1]))[:, None]
    sums = {
        'x': tf.reduce_sum(x * weight, axis=0),
        'noise': tf.reduce_sum(noise * weight, axis=0),
        'views': tf.reduce_sum(views[:2] * weight[:1], axis=0),
        'weight': tf.reduce_sum(weight),
    }
    return sums, (tf.constant(0) if carried is None else carried) + 1

  return micro_batches.add_up(function, batch, size, reduces=reduces)


class AddUpTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(size=(1, 2, 3, 7, 9), reduces=(False, True))
  def test_is_the_whole(self, size, reduces):
    x = np.random.default_rng(0).normal(size=[7, 2]).astype('float32')
    weight = np.array([1, 0, 2, 1, 1, 1, 0.5], 'float32')
    for batch in ({'x': x}, {'x': x, 'weight': weight}):
      batch = tf.nest.map_structure(tf.constant, batch)
      whole, _ = _add_up(batch, 7)
      for call in (_add_up, tf.function(_add_up, autograph=False)):
        sums, num_parts = call(batch, size, reduces)
        self.assertEqual(int(num_parts), -(-7 // size))
        for name in ('x', 'noise', 'weight'):
          self.assertAllClose(sums[name], whole[name], rtol=1e-6)

  @parameterized.parameters(0, 1, 5)
  def test_a_batch_of_unknown_size(self, batch_size):
    spec = {'x': tf.TensorSpec([None, 2])}
    x = np.arange(2.0 * batch_size, dtype='float32').reshape([-1, 2])
    call = tf.function(lambda batch: _add_up(batch, 2), input_signature=[spec])
    sums, num_parts = call({'x': x})
    self.assertAllEqual(sums['x'], x.sum(axis=0))
    self.assertEqual(float(sums['weight']), batch_size)
    self.assertEqual(int(num_parts), max(-(-batch_size // 2), 1))
    with self.assertRaisesRegex(ValueError, 'micro_batch_size: the batch s'):
      tf.function(
          lambda batch: _add_up(batch, 2, True), input_signature=[spec]
      ).get_concrete_function()

  def test_what_sums_over_replicas_is_unrolled(self):
    """In a loop MirroredStrategy refuses it."""
    task = tasks.TASKS['norm']
    tasks.train(task, 2, tasks.padded, micro_batch_size=2)
    with self.assertRaisesRegex(ValueError, 'micro_batch_size.*at least 1'):
      tasks.train(task, micro_batch_size=0)

  def test_every_replica_draws_its_own_rows(self):
    strategy = virtual_devices.mirrored(2)
    draws = {
        size: strategy.experimental_local_results(
            tf.function(strategy.run, autograph=False)(
                lambda size=size: _add_up({'x': tf.ones([4, 1])}, size)[0]
            )
        )
        for size in (2, 4)
    }
    for two, four in zip(draws[2], draws[4], strict=True):
      self.assertAllClose(two['noise'], four['noise'])
    self.assertNotAllClose(draws[4][0]['noise'], draws[4][1]['noise'])


if __name__ == '__main__':
  absltest.main()
