"""Tests of the classifier of texts: what padding may not change."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    training,
    variables,
)

_NUM_WORDS = 40
_LENGTHS = (10, 4, 1, 0, 7)


def _texts(length, seed=0, fill=0):
  """Draws texts of several lengths, padded to one."""
  generator = np.random.default_rng(seed)
  tokens = np.full([len(_LENGTHS), length], fill, np.int32)
  for row, size in zip(tokens, _LENGTHS):
    row[:size] = generator.integers(1, _NUM_WORDS, size)
  return tokens


def _create(pooling='mean', **kwargs):
  model = models.create(
      'text_classifier',
      3,
      vocabulary_size=_NUM_WORDS,
      embedding_size=20,
      hidden_sizes=(9,),
      pooling=pooling,
      **kwargs,
  )
  model.build((None, 5))
  generator = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(generator.normal(0, 0.3, variable.shape))
  return model


class TextClassifierTest(parameterized.TestCase):

  def test_values_by_hand(self):
    model = _create(activation='tanh')
    tokens = _texts(12)
    table = model.embedding.table.numpy().astype(np.float64)
    x = np.stack([
        table[row[:size]].mean(axis=0) if size else np.zeros(20)
        for row, size in zip(tokens, _LENGTHS)
    ])
    [hidden], output = model.hidden, model.output.linear
    x = np.tanh(x @ hidden.linear.w.numpy() + hidden.linear.b.numpy())
    expected = x @ output.w.numpy() + output.b.numpy()
    np.testing.assert_allclose(
        model(tokens, is_training=False), expected, rtol=1e-4, atol=1e-5
    )

  @parameterized.parameters('mean', 'attention')
  def test_padding_changes_no_bit(self, pooling):
    model = _create(pooling)
    graph = tf.function(
        lambda tokens: model(tokens, is_training=False),
        autograph=False,
        input_signature=[tf.TensorSpec([None, None], tf.int32)],
    )
    for seed in range(3):
      expected = model(_texts(10, seed), is_training=False).numpy()
      self.assertTrue(np.isfinite(expected).all())
      for length in (10, 11, 16, 33, 50):
        tokens = tf.constant(_texts(length, seed))
        for call in (graph, lambda x: model(x, is_training=False)):
          np.testing.assert_array_equal(call(tokens), expected, str(length))

  @parameterized.parameters('mean', 'attention')
  def test_padding_changes_no_bit_of_many_texts(self, pooling):
    model = models.create('text_classifier', 5, pooling=pooling)
    generator = np.random.default_rng(0)
    tokens = generator.integers(1, 20_000, [67, 37])
    tokens[np.arange(37) >= generator.integers(0, 38, [67, 1])] = 0
    model.build(tokens.shape)
    for variable in model.trainable_variables:
      variable.assign(generator.normal(0, 0.3, variable.shape))
    expected = model(tokens, is_training=False)
    for lack in (1, 27, 200):
      padded = np.pad(tokens, [[0, 0], [0, lack]])
      np.testing.assert_array_equal(model(padded, False), expected)

  @parameterized.parameters('mean', 'attention')
  def test_padding_changes_no_bit_under_xla(self, pooling):
    model = _create(pooling)
    call = tf.function(
        lambda tokens: model(tokens, is_training=False), jit_compile=True
    )
    expected = call(tf.constant(_texts(10)))
    for length in (16, 50):
      np.testing.assert_allclose(
          call(tf.constant(_texts(length))), expected, rtol=1e-6, atol=1e-6
      )

  @parameterized.parameters('mean', 'attention')
  def test_ways_to_say_what_counts(self, pooling):
    model = _create(pooling)
    expected = model(_texts(12), is_training=False)
    lengths = np.array(_LENGTHS)
    mask = np.arange(12) < lengths[:, np.newaxis]
    for fill in (0, 7, -1, _NUM_WORDS, 2**31 - 1):
      tokens = _texts(12, fill=fill)
      for inputs in (
          {'tokens': tokens, 'lengths': lengths},
          {'tokens': tokens, 'mask': mask},
      ):
        np.testing.assert_array_equal(
            model(inputs, is_training=False), expected
        )
    ragged = tf.RaggedTensor.from_tensor(_texts(12), lengths)
    for inputs in (ragged, {'tokens': tf.cast(ragged, tf.int64)}):
      np.testing.assert_array_equal(model(inputs, is_training=False), expected)
    np.testing.assert_array_equal(
        model({'tokens': _texts(12)}, is_training=False), expected
    )
    # With lengths a 0 is a word.
    zeros = np.zeros([1, 3], np.int32)
    some = model({'tokens': zeros, 'lengths': [2]}, is_training=False)
    self.assertGreater(np.abs(some - model(zeros, False)).max(), 1e-3)

  def test_inputs_that_do_not_fit(self):
    model = _create()
    tokens, lengths = _texts(12), np.array(_LENGTHS)
    mask = tokens > 0
    ragged = tf.RaggedTensor.from_tensor(tokens, lengths)
    for inputs, kind, message in (
        ({}, ValueError, 'inputs: expected tokens'),
        ({'token': tokens}, ValueError, 'inputs: .*got token'),
        (
            {'tokens': tokens, 'mask': mask, 'lengths': lengths},
            ValueError,
            'inputs: .*either lengths or mask',
        ),
        ({'tokens': ragged, 'mask': mask}, ValueError, 'inputs: ragged'),
        ({'tokens': tokens, 'mask': mask[:1]}, ValueError, 'mask: '),
        ({'tokens': tokens, 'mask': mask[:, :1]}, ValueError, 'mask: '),
        ({'tokens': tokens, 'mask': tokens}, TypeError, 'mask: .*int32'),
        ({'tokens': tokens, 'lengths': lengths[:1]}, ValueError, 'lengths: '),
        (
            {'tokens': tokens, 'lengths': lengths[:, None]},
            ValueError,
            'lengths: ',
        ),
        ({'tokens': tokens, 'lengths': 1.0 * lengths}, TypeError, 'lengths: '),
        (tokens * 1.0, TypeError, 'tokens: .*integers'),
        (tokens[0], ValueError, 'tokens: '),
        (tokens[..., None], ValueError, 'tokens: '),
        (tokens + _NUM_WORDS, ValueError, 'ids: .*0, 40'),
        (-tokens, ValueError, 'ids: .*0, 40'),
    ):
      with self.subTest(message), self.assertRaisesRegex(kind, message):
        model(inputs, is_training=False)

  @parameterized.product(
      pooling=('mean', 'attention'), jit_compile=(None, True)
  )
  def test_what_is_wrong_is_nan_in_a_graph(self, pooling, jit_compile):
    model = _create(pooling)
    tokens = _texts(12)
    tokens[1, 2] = _NUM_WORDS
    call = tf.function(
        lambda tokens: model(tokens, is_training=False),
        jit_compile=jit_compile,
    )
    logits = call(tf.constant(tokens)).numpy()
    for which in (np.all, np.any):
      self.assertEqual(
          which(np.isnan(logits), axis=1).tolist(), [i == 1 for i in range(5)]
      )

  @parameterized.parameters('mean', 'attention')
  def test_gradients_are_finite_differences_and_padding_has_none(self, pooling):
    model = _create(pooling, activation='tanh')
    tokens = tf.constant(_texts(12))
    loss = tf.function(
        lambda: tf.reduce_sum(tf.sin(model(tokens, is_training=False)))
    )
    with tf.GradientTape() as tape:
      total = loss()
    parameters = variables.trainable(model)
    gradients = {
        name: tf.convert_to_tensor(gradient).numpy()
        for name, gradient in tape.gradient(total, parameters).items()
    }
    np.testing.assert_array_equal(gradients['embedding/table'][0], 0)
    generator = np.random.default_rng(0)
    for name, variable in parameters.items():
      direction = generator.normal(size=variable.shape)
      before, values = variable.numpy(), []
      for sign in (1, -1):
        variable.assign(before + sign * 1e-3 * direction)
        values.append(float(loss()))
      variable.assign(before)
      slope = (values[0] - values[1]) / 2e-3
      size = np.linalg.norm(gradients[name])
      self.assertGreater(size, 0, name)
      self.assertAlmostEqual(
          np.sum(gradients[name] * direction),
          slope,
          delta=0.02 * size,
          msg=name,
      )

  @parameterized.parameters('mean', 'attention')
  def test_learns_which_word_is_in_a_text(self, pooling):
    generator = np.random.default_rng(0)
    num_batches, size, length = 80, 32, 12
    tokens = generator.integers(4, 30, [num_batches, size, length])
    lengths = generator.integers(2, length + 1, tokens.shape[:2])
    labels = generator.integers(0, 3, tokens.shape[:2])
    tokens[..., 1] = labels + 1
    tokens[np.arange(length) >= lengths[..., np.newaxis]] = 0
    tf.random.set_seed(0)
    model = models.create(
        'text_classifier',
        3,
        vocabulary_size=30,
        embedding_size=16,
        hidden_sizes=(16,),
        pooling=pooling,
    )
    model.build((None, length))
    optimizer = optimizers.adam(2e-2)
    state = training.TrainState(model, optimizer)
    metric = metrics.collection({'accuracy': metrics.accuracy()})
    objective = objectives.supervised(
        losses.softmax_cross_entropy, inputs=lambda batch: batch['tokens']
    )
    step = training.make_train_step(objective, optimizer, metric)
    accuracies = []
    for batch in tf.data.Dataset.from_tensor_slices({
        'tokens': tokens.astype(np.int32),
        'label': labels,
        'weight': np.ones(labels.shape, np.float32),
    }):
      sums = step(state, batch)
      accuracies.append(training.summarize(metric, sums)['accuracy'])
    self.assertGreater(np.mean(accuracies[-10:]), 0.9)

  def test_dropout_is_the_same_whatever_the_padding(self):
    model = _create(dropout_rate=0.5)
    one = model(_texts(10), is_training=True, seed=[0, 1])
    np.testing.assert_array_equal(model(_texts(50), True, [0, 1]), one)
    self.assertGreater(
        np.abs(one - model(_texts(10), True, [0, 2])).max(), 1e-3
    )
    with self.assertRaisesRegex(ValueError, 'seed: '):
      model(_texts(10), is_training=True)

  def test_builds_from_specs(self):
    for spec in (
        (None, 7),
        tf.TensorSpec([None, 7], tf.int64),
        tf.RaggedTensorSpec([None, None], tf.int32),
        {'tokens': (None, 7), 'lengths': (None,)},
        {'tokens': (None, 7), 'mask': (None, 7)},
    ):
      model = models.create('text_classifier', 3)
      self.assertEqual(model.output_shape(spec), (None, 3))
      self.assertEqual(model.embedding.table.shape, [20_000, 64])


if __name__ == '__main__':
  absltest.main()
