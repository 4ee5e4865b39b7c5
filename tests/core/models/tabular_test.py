"""Tests of the perceptron of tables."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    layers,
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    precision,
    training,
    variables,
)

_NAN = np.nan
_SIZES = (3, 5)


def _rows(num=6, seed=0):
  generator = np.random.default_rng(seed)
  numbers = generator.normal([50, 1990], [9, 20], [num, 2])
  categories = generator.integers(0, _SIZES, [num, 2])
  return {
      'numbers': numbers.astype(np.float32),
      'categories': categories.astype(np.int32),
  }


def _create(**kwargs):
  arguments = {'vocabulary_sizes': _SIZES, 'hidden_sizes': (6,), **kwargs}
  return models.create('tabular', 4, **arguments)


class TabularTest(parameterized.TestCase):

  @parameterized.parameters('mean', 'indicator')
  def test_values_by_hand(self, missing):
    model = _create(missing=missing, activation='tanh')
    rows = _rows()
    rows['numbers'][[1, 4], [0, 1]] = _NAN
    model.build({name: value.shape for name, value in rows.items()})
    model.initialize(rows)
    logits = model(rows, is_training=False)
    numbers = rows['numbers'].astype(np.float64)
    numbers -= np.nanmean(numbers, axis=0)
    numbers /= np.nanstd(numbers, axis=0)
    parts = [np.nan_to_num(numbers)]
    if missing == 'indicator':
      parts.append(np.isnan(numbers))
    parts += [
        embedding.table.numpy()[column]
        for embedding, column in zip(model.embeddings, rows['categories'].T)
    ]
    x = np.concatenate(parts, axis=1)
    [hidden], output = model.hidden, model.output.linear
    x = np.tanh(x @ hidden.linear.w.numpy() + hidden.linear.b.numpy())
    expected = x @ output.w.numpy() + output.b.numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)

  def test_variables(self):
    model = _create(embedding_size=7)
    model.build({'numbers': (None, 2), 'categories': (None, 2)})
    untrained = variables.untrained(model)
    self.assertEqual(
        list(untrained), ['normalization/center', 'normalization/scale']
    )
    shapes = {n: tuple(v.shape) for n, v in variables.trainable(model).items()}
    self.assertEqual(shapes['embeddings/1/table'], (5, 7))
    self.assertEqual(shapes['hidden/0/linear/w'], (2 + 14, 6))

  @parameterized.parameters('numbers', 'categories')
  def test_one_of_both(self, name):
    rows = _rows()
    model = _create(vocabulary_sizes=_SIZES if name == 'categories' else ())
    other = 'categories' if name == 'numbers' else 'numbers'
    model.build({name: (None, 2)})
    model.initialize({name: rows[name]})
    self.assertEqual(model.input_names, (name,))
    logits = model({name: rows[name]}, is_training=False)
    np.testing.assert_array_equal(model(rows[name], is_training=False), logits)
    self.assertEqual(model.output_shape({name: (None, 2)}), (None, 4))
    with self.assertRaisesRegex(ValueError, f'inputs: expected {name}, .*got'):
      model(rows, is_training=False)
    with self.assertRaisesRegex(ValueError, f'inputs: .*got {other}'):
      model({other: rows[other]}, is_training=False)

  def test_inputs_that_do_not_fit(self):
    model = _create()
    rows = _rows()
    for wrong in (
        {},
        {'numbers': rows['numbers']},
        rows['numbers'],
        {**rows, 'label': rows['numbers']},
        {'number': 0, 'categories': 0},
    ):
      with self.assertRaisesRegex(
          ValueError,
          r'inputs: expected numbers and categories or categories, '
          r'for vocabulary_sizes=\(3, 5\), got',
      ):
        model(wrong, is_training=False)
    model(rows, is_training=False)
    for name, value, kind in (
        ('numbers', rows['numbers'][:1], ValueError),
        ('numbers', rows['numbers'][:, 0], ValueError),
        ('numbers', rows['numbers'][:, :1], ValueError),
        ('numbers', rows['categories'], TypeError),
        ('categories', rows['categories'][:1], ValueError),
        ('categories', rows['categories'][:, :1], ValueError),
        ('categories', rows['numbers'], TypeError),
        ('categories', rows['categories'] + 5, ValueError),
        ('categories', rows['categories'] - 5, ValueError),
    ):
      with (
          self.subTest(name=name, shape=value.shape),
          self.assertRaisesRegex(kind, r'^\w+: '),
      ):
        model({**rows, name: value}, is_training=False)

  @parameterized.parameters(None, True)
  def test_what_is_wrong_is_nan_in_a_graph(self, jit_compile):
    model = _create()
    rows = _rows()
    model.build({name: value.shape for name, value in rows.items()})
    rows['categories'][2, 1] = 5
    rows['numbers'][3, 0] = np.inf
    rows['numbers'][4, 0] = _NAN  # Is missing.
    call = tf.function(
        lambda rows: model(rows, is_training=False), jit_compile=jit_compile
    )
    logits = call(tf.nest.map_structure(tf.constant, rows)).numpy()
    bad = [False, False, True, True, False, False]
    self.assertEqual(np.isnan(logits).all(axis=1).tolist(), bad)
    self.assertEqual(np.isnan(logits).any(axis=1).tolist(), bad)

  def test_the_first_call_that_fails_decides_nothing(self):
    model = _create()
    rows = _rows()
    with self.assertRaises(ValueError):
      model({'categories': rows['categories'][:, :1]}, is_training=False)
    self.assertEqual(model(rows, is_training=False).shape, [6, 4])

  def test_learns_with_gaps_in_numbers_far_from_0(self):
    generator = np.random.default_rng(0)
    num = 60 * 64
    rows = _rows(num)
    years, kind = rows['numbers'][:, 1], rows['categories'][:, 1]
    label = ((years > 1990) ^ (kind > 2)).astype(np.int32)
    rows['numbers'][generator.random([num, 2]) < 0.02] = _NAN
    tf.random.set_seed(0)
    model = models.create('tabular', 1, vocabulary_sizes=_SIZES)
    model.build({'numbers': (None, 2), 'categories': (None, 2)})
    model.initialize(rows)

    def objective(model, batch, seed, is_training):
      logits = model(batch['inputs'], is_training, seed)[:, 0]
      values = losses.sigmoid_binary_cross_entropy(batch['label'], logits)
      return objectives.Evaluation(values, logits, tf.zeros([]))

    optimizer = optimizers.adam(1e-2)
    state = training.TrainState(model, optimizer)
    metric = metrics.collection({'accuracy': metrics.binary_accuracy()})
    step = training.make_train_step(objective, optimizer, metric)
    weight = np.ones(num, np.float32)
    data = {'inputs': rows, 'label': label, 'weight': weight}
    accuracies = []
    for batch in tf.data.Dataset.from_tensor_slices(data).batch(64):
      sums = step(state, batch)
      accuracies.append(training.summarize(metric, sums)['accuracy'])
    self.assertGreater(np.mean(accuracies[-10:]), 0.9)

  def test_dropout(self):
    model = _create(dropout_rate=0.5)
    rows = _rows()
    model.build({name: value.shape for name, value in rows.items()})
    model.initialize(rows)
    one = model(rows, is_training=True, seed=[0, 1])
    np.testing.assert_array_equal(model(rows, True, [0, 1]), one)
    self.assertGreater(np.abs(one - model(rows, True, [0, 2])).max(), 1e-3)
    with self.assertRaisesRegex(ValueError, 'seed: '):
      model(rows, is_training=True)

  def test_statistics_are_not_cast_in_half_precision(self):
    model = _create()
    rows = _rows()
    model.build({name: value.shape for name, value in rows.items()})
    rows['numbers'] = np.float32([[96, -8], [104, 8]] * 3)
    model.initialize(rows)
    self.assertIsInstance(model.normalization, layers.Normalization)
    half = precision.autocast(model)(rows, is_training=False)
    np.testing.assert_allclose(
        half, model(rows, is_training=False), rtol=0.1, atol=0.05
    )


if __name__ == '__main__':
  absltest.main()
