"""SimCLR: each view of an image has to find its other one among all replicas'.

Chen et al. 2020, https://arxiv.org/abs/2002.05709, algorithm 1, on
scikit-learn's digits.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest

from core import (
    distribution,
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    random,
    resident,
    training,
)
from tests import virtual_devices
from tests.programs import digits, replicas

_TEMPERATURE, _BATCH_SIZE = 0.2, 100
_METRIC = metrics.collection({'found': metrics.of(metrics.mean(), 'found')})


def _objective(model, batch, seed, is_training):
  if is_training:
    seeds = random.split(seed, 2)
    one, two = (digits.view(batch['image'], each) for each in seeds)
  else:
    one, two = batch['image'], batch['other_view']
  one, two = model(one, is_training), model(two, is_training)
  values = losses.nt_xent(
      one,
      two,
      temperature=_TEMPERATURE,
      weights=batch['weight'],
      gather=distribution.all_gather,
  )
  return objectives.Evaluation(values, {'found': tf.exp(-values)})


def _train(num_replicas, num_epochs):
  """Returns the state and the loss of each epoch."""
  tf.random.set_seed(0)
  strategy = virtual_devices.mirrored(num_replicas)
  optimizer = optimizers.adam(2e-3)
  with strategy.scope():
    model = models.create('mlp', 16, hidden_sizes=(128,))
    model.build([None, 64])
    state = training.TrainState(model, optimizer)
  train = resident.make_train_loop(
      state,
      _objective,
      optimizer,
      _METRIC,
      {'image': digits.load()},
      strategy,
      jit='off',
  )
  history = []
  for epoch in range(num_epochs):
    order = np.random.default_rng(epoch).permutation(digits.NUM_EXAMPLES)
    sums, _ = train(resident.batched(order, _BATCH_SIZE), epoch)
    history.append(float(training.summarize(_METRIC, sums)['loss']))
  return state, history


def _nt_xent(one, two):
  """Equation 1 in NumPy, averaged over the views of each example."""
  z = np.concatenate([one, two]).astype('float64')
  z /= np.linalg.norm(z, axis=1, keepdims=True)
  logits = z @ z.T / _TEMPERATURE
  np.fill_diagonal(logits, -np.inf)
  log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
  size = len(one)
  i = np.arange(size)
  return -(log_p[i, i + size] + log_p[i + size, i]) / 2


class SimCLRTest(absltest.TestCase):

  def test_learns_without_labels(self):
    state, history = _train(num_replicas=1, num_epochs=40)
    self.assertLess(history[-1], 0.75 * history[0])
    data = {
        'image': digits.view(digits.load(), tf.constant([0, 1])),
        'other_view': digits.view(digits.load(), tf.constant([0, 2])),
    }
    one, two = (state.model(view, False).numpy() for view in data.values())
    # The encoding says more about a view than its pixels do.
    self.assertGreater(digits.score(one), digits.score(data['image']) + 0.05)

    evaluate = resident.make_eval_loop(
        state,
        _objective,
        _METRIC,
        data,
        global_batch_size=_BATCH_SIZE,
        jit='off',
    )
    values = training.summarize(_METRIC, evaluate()[0])
    own = np.concatenate([
        _nt_xent(
            one[first : first + _BATCH_SIZE], two[first : first + _BATCH_SIZE]
        )
        for first in range(0, len(one), _BATCH_SIZE)
    ])
    np.testing.assert_allclose(values['loss'], own.mean(), rtol=1e-4)
    np.testing.assert_allclose(values['found'], np.exp(-own).mean(), rtol=1e-3)

  def test_replicas_change_nothing(self):
    (one, history), (two, again) = (_train(num, 2) for num in (1, 2))
    np.testing.assert_allclose(history, again, rtol=1e-4)
    replicas.assert_same(one, two)


if __name__ == '__main__':
  absltest.main()
