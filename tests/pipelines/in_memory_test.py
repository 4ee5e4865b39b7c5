"""The order of an epoch is one pure function, whatever runs it.

Covers: examples.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from pipelines import examples, in_memory
from tests import small_datasets


class EpochOrderTest(parameterized.TestCase):

  @parameterized.parameters(1, 2, 1000)
  def test_eager_graph_and_xla_agree(self, num_examples):
    def order(epoch):
      return in_memory.epoch_order(num_examples, 5, epoch)

    epoch = tf.constant(3, tf.int64)
    eager = order(epoch).numpy()
    np.testing.assert_array_equal(np.sort(eager), np.arange(num_examples))
    for jit in (False, True):
      compiled = tf.function(order, jit_compile=jit)
      np.testing.assert_array_equal(compiled(epoch).numpy(), eager)

  def test_places_are_uniform(self):
    num_examples, num_epochs = 5, 2000
    orders = tf.vectorized_map(
        lambda epoch: in_memory.epoch_order(num_examples, 0, epoch),
        tf.range(num_epochs, dtype=tf.int64),
    ).numpy()
    for place in range(num_examples):
      counts = np.bincount(orders[:, place], minlength=num_examples)
      # Five standard deviations of a binomial count: 5 * sqrt(320).
      np.testing.assert_allclose(counts, num_epochs / num_examples, atol=90)

  def test_depends_on_seed_and_epoch(self):
    orders = {
        tuple(in_memory.epoch_order(50, seed, epoch).numpy())
        for seed in (0, 1, 2**40)
        for epoch in (0, 1, 2)
    }
    self.assertLen(orders, 9)


class ExamplesTest(absltest.TestCase):

  def test_loads_by_key(self):
    images = np.arange(24, dtype=np.uint8).reshape([6, 2, 2, 1])
    data = small_datasets.in_memory(images, np.arange(6))
    loaded = data.load(tf.constant([4, 0], tf.int64))
    np.testing.assert_array_equal(loaded['image'], images[[4, 0]])
    np.testing.assert_array_equal(loaded['label'], [4, 0])
    np.testing.assert_array_equal(loaded['index'], [4, 0])
    self.assertEqual(data.num_examples, 6)


class FormerNamesTest(absltest.TestCase):

  def test_are_those_of_now_with_a_warning(self):
    for name, now in (
        ('Examples', 'InMemorySplit'),
        ('eval_rows', 'eval_keys'),
        ('epoch_order', 'epoch_order'),
    ):
      with self.assertWarnsRegex(
          DeprecationWarning, f'{name} .*in_memory.{now}'
      ):
        member = getattr(examples, name)
      self.assertIs(member, getattr(in_memory, now))
    with self.assertRaises(AttributeError):
      _ = examples.nothing


if __name__ == '__main__':
  absltest.main()
