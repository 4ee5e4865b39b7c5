"""Tests of pooling over positions: values by hand, and padding to the bit."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers

_LENGTHS = (10, 3, 0, 7, 1)
_SIZE = 12


def _draw(length, seed=0):
  generator = np.random.default_rng(seed)
  x = generator.normal(size=(len(_LENGTHS), max(_LENGTHS), _SIZE))
  x = np.pad(
      x * 10.0 ** generator.integers(-4, 4, x.shape),
      [[0, 0], [0, length - max(_LENGTHS)], [0, 0]],
  )
  mask = np.arange(length) < np.array(_LENGTHS)[:, np.newaxis]
  return x.astype(np.float32), mask


def _attention(seed=1):
  layer = layers.AttentionPooling(3)
  layer.build([None, None, _SIZE])
  generator = np.random.default_rng(seed)
  layer.query.assign(generator.normal(size=layer.query.shape))
  return layer


_POOLINGS = {'mean': lambda: layers.masked_mean, 'attention': _attention}


def _by_hand(name, pool, x, mask):
  """Computes a pooling of each sequence alone, in float64."""
  pooled = []
  for row, counts in zip(x.astype(np.float64), mask):
    row = row[counts]
    if name == 'mean':
      pooled.append(row.mean(axis=0) if len(row) else np.zeros(_SIZE))
      continue
    heads = row.reshape([-1, 3, 4])
    scores = (heads * pool.query.numpy()).sum(axis=-1) / 2
    shares = np.exp(scores - scores.max(axis=0, initial=-1e30))
    shares /= shares.sum(axis=0)
    pooled.append((shares[..., np.newaxis] * heads).sum(axis=0).reshape(-1))
  return np.stack(pooled)


@parameterized.parameters(*_POOLINGS)
class PoolingTest(parameterized.TestCase):

  def test_values_by_hand(self, name):
    pool = _POOLINGS[name]()
    x, mask = _draw(11)
    np.testing.assert_allclose(
        pool(x, mask), _by_hand(name, pool, x, mask), rtol=1e-4, atol=1e-4
    )

  def test_holes_count_as_little_as_padding(self, name):
    pool = _POOLINGS[name]()
    x, _ = _draw(11)
    mask = np.random.default_rng(2).random(x.shape[:2]) < 0.5
    np.testing.assert_allclose(
        pool(x, mask), _by_hand(name, pool, x, mask), rtol=1e-4, atol=1e-4
    )

  def test_padding_changes_no_bit(self, name):
    pool = _POOLINGS[name]()
    graph = tf.function(pool, autograph=False)
    unknown = tf.function(
        pool,
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None, _SIZE]),
            tf.TensorSpec([None, None], tf.bool),
        ],
    )
    for seed in range(3):
      short, mask = _draw(10, seed)
      expected = pool(short, mask).numpy()
      for length in (10, 16, 17, 50, 129):
        x, mask = map(tf.constant, _draw(length, seed))
        for call in (pool, unknown, *[graph] * (seed == 0)):
          np.testing.assert_array_equal(call(x, mask), expected)

  def test_garbage_in_padding_changes_no_bit(self, name):
    pool = _POOLINGS[name]()

    def step(x, mask):
      with tf.GradientTape() as tape:
        tape.watch(x)
        y = pool(x, mask)
        loss = tf.reduce_sum(tf.sin(y))
      watched = [x, *getattr(pool, 'trainable_variables', ())]
      return [y, *tape.gradient(loss, watched)]

    x, mask = _draw(13)
    for jit_compile in (False, True):
      traced = tf.function(step, jit_compile=jit_compile)
      results = [
          traced(tf.constant(np.where(mask[..., np.newaxis], x, garbage)), mask)
          for garbage in np.float32([0, np.inf, np.nan])
      ]
      for result in zip(*results):
        self.assertTrue(np.isfinite(result[0]).all())
        for other in result[1:]:
          np.testing.assert_array_equal(other, result[0])
      np.testing.assert_array_equal(results[0][1].numpy()[~mask], 0)

  def test_half_precision_is_added_up_in_float32(self, name):
    pool = layers.masked_mean
    if name == 'attention':
      pool = layers.AttentionPooling()
    x = tf.fill([1, 1000, 2], tf.constant(3.0, tf.float16))
    y = pool(x * 100, tf.ones([1, 1000], tf.bool))
    self.assertEqual(y.dtype, tf.float16)
    np.testing.assert_array_equal(y, np.full([1, 2], 300))

  def test_without_positions(self, name):
    pool = _POOLINGS[name]()
    y = pool(tf.zeros([2, 0, _SIZE]), tf.zeros([2, 0], tf.bool))
    np.testing.assert_array_equal(y, np.zeros([2, _SIZE]))

  def test_refuses(self, name):
    pool = _POOLINGS[name]()
    x, mask = _draw(10)
    with self.assertRaisesRegex(TypeError, 'mask: expected bool.*float32'):
      pool(x, tf.cast(mask, tf.float32))
    for wrong in (mask[:1], mask[:, :1], mask[:, :9], mask[0]):
      with self.assertRaisesRegex(ValueError, 'mask: expected shape'):
        pool(x, wrong)


class AttentionPoolingTest(absltest.TestCase):

  def test_begins_as_the_mean_and_its_queries_learn(self):
    pool = layers.AttentionPooling(2)
    x, mask = _draw(10)
    with tf.GradientTape() as tape:
      y = pool(x, mask)
      loss = tf.reduce_sum(tf.sin(y))
    np.testing.assert_allclose(
        y, layers.masked_mean(x, mask), rtol=1e-5, atol=1e-5
    )
    self.assertTrue(np.any(tape.gradient(loss, pool.query)))

  def test_refuses_other_sizes(self):
    pool = _attention()
    with self.assertRaisesRegex(ValueError, 'input_shape: .*built for size 12'):
      pool(tf.ones([2, 3, 6]), tf.ones([2, 3], tf.bool))
    with self.assertRaisesRegex(ValueError, 'input_shape: .* by 3 heads'):
      pool.build([None, None, 8])


if __name__ == '__main__':
  absltest.main()
