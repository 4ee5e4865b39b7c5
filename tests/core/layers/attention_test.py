"""Tests of attention: against Keras, and over replicas to the bit."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, variables
from tests import virtual_devices

_SEED = tf.constant([3, 7])


def _draw(*shape, seed=0):
  generator = np.random.default_rng(seed)
  return generator.normal(size=shape).astype(np.float32)


def _attention(*shapes, **kwargs):
  """Makes a layer, with random biases too."""
  attention = layers.MultiHeadAttention(**kwargs)
  attention.build(*shapes)
  for index, variable in enumerate(attention.trainable_variables):
    variable.assign(_draw(*variable.shape, seed=index) / 3)
  return attention


def _keras(attention, query, key, value):
  """Makes Keras's layer with the same weights."""
  heads, size = attention.num_heads, attention.key_size
  with_bias = attention.output.linear.with_bias
  reference = keras.layers.MultiHeadAttention(
      heads,
      size,
      attention.value_size,
      use_bias=with_bias,
      output_shape=attention.output.output_size,
  )
  reference(query, value, key)
  weights = []
  for part in (attention.query, attention.key, attention.value):
    linear = part.linear
    units = part.output_size // heads
    weights.append(tf.reshape(linear.w, [-1, heads, units]))
    if with_bias:
      bias = linear.b if linear.with_bias else tf.zeros([part.output_size])
      weights.append(tf.reshape(bias, [heads, units]))
  linear = attention.output.linear
  weights.append(tf.reshape(linear.w, [heads, -1, linear.output_size]))
  reference.set_weights(weights + ([linear.b] if with_bias else []))
  return reference


class MultiHeadAttentionTest(parameterized.TestCase):

  @parameterized.product(
      masked=(False, True),
      sizes=((None, None), (3, 7)),
      with_bias=(True, False),
  )
  def test_equals_keras(self, masked, sizes, with_bias):
    query, key, value = _draw(2, 4, 6), _draw(2, 5, 3), _draw(2, 5, 8)
    value_size, output_size = sizes
    attention = _attention(
        query.shape,
        key.shape,
        value.shape,
        num_heads=2,
        key_size=4,
        value_size=value_size,
        output_size=output_size,
        with_bias=with_bias,
    )
    mask = None
    if masked:
      mask = np.random.default_rng(1).uniform(size=[2, 4, 5]) < 0.6
      mask[:, :, 0] = True
    with tf.GradientTape() as tape:
      y = attention(query, key, value, mask=mask)
      loss = tf.reduce_sum(y**2)
    expected = _keras(attention, query, key, value)(
        query, value, key, attention_mask=mask
    )
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    shapes = query.shape, key.shape, value.shape
    self.assertEqual(attention.output_shape(*shapes), tuple(y.shape))
    parameters = variables.trainable(attention)
    self.assertLen(parameters, 7 if with_bias else 4)
    for name, gradient in tape.gradient(loss, parameters).items():
      self.assertTrue(np.any(gradient), name)

  def test_attends_to_itself_by_hand(self):
    attention = layers.MultiHeadAttention(1, 1, with_bias=False)
    attention.build([None, None, 1])
    for part in (
        attention.query,
        attention.key,
        attention.value,
        attention.output,
    ):
      part.linear.w.assign([[1.0]])
    # Logits of 0 find 0 and ln 3 alike; those of 1 find it three times better.
    x = np.array([[[0.0], [1.0]]], np.float32)
    weights = np.array([[0.5, 0.5], [1 / (1 + np.e), np.e / (1 + np.e)]])
    np.testing.assert_allclose(attention(x)[0], weights @ x[0], rtol=1e-6)

  @parameterized.parameters(2, 3, 4)
  def test_what_is_masked_does_not_matter(self, rank):
    attention = _attention([None, 5, 6], num_heads=2, key_size=3)
    causal = np.tril(np.ones([5, 5], bool))
    mask = np.broadcast_to(causal, [1] * (rank - 2) + [5, 5])
    x = _draw(3, 5, 6)
    y = attention(x, mask=mask)
    for length in (1, 3):
      sliced = attention(x[:, :length], mask=causal[:length, :length])
      np.testing.assert_allclose(y[:, :length], sliced, rtol=1e-4, atol=1e-5)

  @parameterized.parameters(False, True)
  def test_masked_garbage_changes_no_bit(self, jit_compile):
    """Of padding that nothing looks at, and of what only later ones look at."""
    layer = layers.MultiHeadAttention(2, 3)
    layer.build([None, None, 4])
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    real = np.ones([2, 5], bool)
    real[0, 3:] = False
    causal = np.tril(np.ones([5, 5], bool))

    def train(x, mask, counts):
      with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, mask=mask)
        values = tf.where(counts[..., tf.newaxis], tf.sin(y), 0.0)
        total = tf.reduce_sum(values)
      return values, tape.gradient(total, [x, *layer.trainable_variables])

    if jit_compile:
      train = tf.function(train, jit_compile=True, autograph=False)
    late = np.ones([2, 5], bool)
    late[:, 4] = False
    for mask, counts in (
        (np.broadcast_to(real[:, np.newaxis], [2, 5, 5]), real),
        (np.broadcast_to(causal, [2, 5, 5]), late),
    ):
      results = []
      for garbage in (0.0, np.inf, np.nan):
        garbled = np.where(counts[..., np.newaxis], x, np.float32(garbage))
        values, gradients = train(*map(tf.constant, (garbled, mask, counts)))
        results.append(tf.nest.flatten([values, gradients]))
      for others in results[1:]:
        for actual, expected in zip(others, results[0], strict=True):
          np.testing.assert_array_equal(actual, expected)
    # Who looks at it is not told a finite number.
    y = layer(tf.constant(garbled), mask=causal)
    self.assertTrue(np.isnan(y[:, 4]).all())
    self.assertTrue(np.isfinite(y[:, :4]).all())

  def test_a_mask_a_head_and_a_query_that_sees_nothing(self):
    attention = _attention([None, 4, 6], num_heads=2, key_size=3)
    x = _draw(2, 4, 6)
    mask = np.ones([2, 2, 4, 4], bool)
    mask[:, 0] = False
    value = attention.value
    values = value(x).numpy().reshape([2, 4, 2, 3])
    values[:, :, 0] = 0  # The first head sees nothing.
    q = attention.query(x).numpy().reshape([2, 4, 2, 3])[:, :, 1]
    k = attention.key(x).numpy().reshape([2, 4, 2, 3])[:, :, 1]
    weights = tf.nn.softmax(q @ k.transpose([0, 2, 1]) / np.sqrt(3))
    heads = np.concatenate(
        [np.zeros([2, 4, 3]), weights @ values[:, :, 1]], axis=-1
    )
    np.testing.assert_allclose(
        attention(x, mask=mask),
        attention.output(heads.astype(np.float32)),
        rtol=1e-4,
        atol=1e-5,
    )
    nothing = attention(x, mask=np.zeros([4, 4], bool))
    expected = np.broadcast_to(attention.output.linear.b, [2, 4, 6])
    np.testing.assert_allclose(nothing, expected, rtol=1e-5)

  def test_eager_equals_graph_equals_xla(self):
    attention = _attention([None, 5, 6], num_heads=2, key_size=3)
    x, mask = tf.constant(_draw(3, 5, 6)), np.tril(np.ones([5, 5], bool))
    call = lambda x: attention(x, mask=mask)
    for jit_compile in (False, True):
      compiled = tf.function(call, jit_compile=jit_compile)
      np.testing.assert_allclose(compiled(x), call(x), rtol=1e-4, atol=1e-5)
    unknown = tf.function(
        attention, input_signature=[tf.TensorSpec([None, None, 6])]
    )
    np.testing.assert_allclose(unknown(x), attention(x), rtol=1e-4, atol=1e-5)

  @parameterized.parameters(tf.bfloat16, tf.float16)
  def test_softmax_of_half_inputs_is_float32(self, dtype):
    # A thousand equal weights in bfloat16 would not add up to 1.
    attention = layers.MultiHeadAttention(1, 2, with_bias=False)
    for part in (attention.query, attention.key, attention.value):
      part.linear = lambda x: x
    attention.output = tf.identity
    x = tf.ones([1, 1000, 2], dtype)
    attention.output_shape = lambda *shapes: None
    y = attention(x)
    self.assertEqual(y.dtype, dtype)
    np.testing.assert_allclose(tf.cast(y, tf.float32), np.ones(x.shape), 5e-3)

  @parameterized.parameters(1, 2, 3)
  def test_dropout_of_replicas_is_together_that_of_one(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    x = _draw(6, 5, 6)
    with strategy.scope():
      attention = _attention(
          [None, 5, 6], num_heads=2, key_size=3, dropout_rate=0.5
      )
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(
            np.split(x, num_replicas)[context.replica_id_in_sync_group]
        )
    )

    @tf.function
    def run(x):
      return strategy.run(
          lambda x: attention(x, is_training=True, seed=_SEED), (x,)
      )

    y = np.concatenate(strategy.experimental_local_results(run(parts)))
    np.testing.assert_allclose(
        y, attention(x, is_training=True, seed=_SEED), rtol=1e-4, atol=1e-5
    )
    self.assertGreater(np.abs(y - attention(x)).max(), 1e-2)

  def test_dropout_needs_a_seed(self):
    attention = layers.MultiHeadAttention(1, 2, dropout_rate=0.5)
    with self.assertRaisesRegex(ValueError, 'seed: '):
      attention(tf.ones([1, 2, 2]), is_training=True)

  @parameterized.parameters(
      ({'num_heads': 0, 'key_size': 1}, 'num_heads: .*0'),
      ({'num_heads': 1, 'key_size': 0}, 'key_size: .*0'),
      ({'num_heads': 1, 'key_size': 1, 'value_size': 0}, 'value_size: .*0'),
      ({'num_heads': 1, 'key_size': 1, 'output_size': 0}, 'output_size: .*0'),
      ({'num_heads': 1, 'key_size': 1, 'dropout_rate': 1.0}, 'rate: .*1.0'),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      layers.MultiHeadAttention(**arguments)

  def test_wrong_inputs(self):
    attention = layers.MultiHeadAttention(2, 3)
    x = tf.ones([2, 4, 6])
    with self.assertRaisesRegex(ValueError, r'query_shape: .*got \(2, 6\)'):
      attention(x[:, 0])
    with self.assertRaisesRegex(ValueError, r'key_shape: .*got \(2, 6\)'):
      attention(x, x[:, 0])
    with self.assertRaisesRegex(ValueError, 'value_shape: .*of the keys, 3'):
      attention(x, x[:, :3], x)
    with self.assertRaisesRegex(TypeError, 'mask: expected bool.*float32'):
      attention(x, mask=tf.ones([4, 4]))
    with self.assertRaisesRegex(ValueError, 'mask: .*rank'):
      attention(x, mask=tf.ones([4], tf.bool))
    with self.assertRaisesRegex(ValueError, 'built for 6 inputs'):
      attention(x[..., :5])

  @parameterized.product(
      case=(
          ('key', [3, 5, 4], [1, 5, 4], [3, 5, 4], [1, 1]),
          ('value', [3, 5, 4], [3, 2, 4], [1, 2, 4], [1, 1]),
          ('key', [1, 5, 4], [3, 5, 4], [3, 5, 4], [1, 1]),
          ('mask', [2, 1, 4], [2, 1, 4], [2, 1, 4], [1, 5]),
          ('mask', [2, 1, 4], [2, 3, 4], [2, 3, 4], [5, 1]),
          ('mask', [1, 2, 4], [1, 2, 4], [1, 2, 4], [3, 2, 2]),
      ),
      is_known=(True, False),
  )
  def test_no_size_1_is_taken_for_another(self, case, is_known):
    message, *shapes = case
    attention = layers.MultiHeadAttention(2, 3)
    attention.build([None, None, 4])

    def attend(query, key, value, mask):
      return attention(query, key, value, mask=mask)

    if not is_known:
      unknown = tf.TensorSpec([None, None, 4])
      mask = tf.TensorSpec([None] * len(shapes[-1]), tf.bool)
      attend = tf.function(attend, input_signature=[unknown] * 3 + [mask])
    *inputs, mask = map(tf.ones, shapes)
    with self.assertRaisesRegex(
        (ValueError, tf.errors.InvalidArgumentError), f'{message}: expected'
    ):
      attend(*inputs, tf.cast(mask, tf.bool))


if __name__ == '__main__':
  absltest.main()
