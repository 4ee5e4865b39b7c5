"""Tests of the recurrent network over rows."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import models, variables


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _lstm(core, x):
  """Runs an LSTM over the second axis, by its equations."""
  weights = {
      name.split('/')[-1]: variable.numpy()
      for name, variable in variables.named(core).items()
  }
  hidden = cell = np.zeros([len(x), weights['w_h'].shape[0]])
  states = []
  for step in range(x.shape[1]):
    gates = x[:, step] @ weights['w_i'] + hidden @ weights['w_h']
    i, f, g, o = np.split(gates + weights['b'], 4, axis=-1)
    cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
    hidden = _sigmoid(o) * np.tanh(cell)
    states.append(hidden)
  return np.stack(states, axis=1)


class RowRNNTest(parameterized.TestCase):

  @parameterized.parameters((5,), (5, 3))
  def test_values_by_hand(self, *hidden_sizes):
    model = models.create('row_rnn', 4, hidden_sizes=hidden_sizes)
    x = np.random.default_rng(0).normal(size=(3, 6, 8, 2)).astype(np.float32)
    logits = model(x, is_training=False)
    states = x.reshape([3, 6, 16])
    for core in model.cores:
      states = _lstm(core, states)
    output = model.output.linear
    expected = states[:, -1] @ output.w.numpy() + output.b.numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)

  def test_the_order_of_rows_matters(self):
    model = models.create('row_rnn', 4)
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    one, other = (model(each, is_training=False) for each in (x, x[:, ::-1]))
    self.assertGreater(np.abs(one - other).max(), 1e-2)

  def test_dropout(self):
    model = models.create('row_rnn', 4, dropout_rate=0.5)
    x = tf.ones([2, 8, 8, 1])
    one = model(x, is_training=True, seed=[0, 1])
    np.testing.assert_array_equal(model(x, is_training=True, seed=[0, 1]), one)
    other = model(x, is_training=True, seed=[0, 2])
    self.assertGreater(np.abs(one - other).max(), 1e-3)
    with self.assertRaisesRegex(ValueError, 'seed: '):
      model(x, is_training=True)

  @parameterized.parameters(
      ({'hidden_sizes': ()}, 'hidden_sizes: '),
      ({'hidden_sizes': (8, 0)}, 'hidden_sizes: .*0'),
      ({'dropout_rate': 1.0}, 'rate'),
  )
  def test_wrong_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      models.create('row_rnn', 10, **arguments)


if __name__ == '__main__':
  absltest.main()
