"""BYOL: an encoder that predicts what a slow copy of itself makes of an image.

Grill et al. 2020, https://arxiv.org/abs/2006.07733, equations 1 and 2, on
scikit-learn's digits: no labels, and a target network that follows by `after`.
"""

from __future__ import annotations

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest

from core import (
    layers,
    losses,
    metrics,
    objectives,
    optimizers,
    random,
    resident,
    substitution,
    training,
    variables,
)
from tests import virtual_devices
from tests.programs import digits, replicas

_DECAY = 0.95
_METRIC = metrics.collection({'error': metrics.of(metrics.mean(), 'error')})


class Encoder(snt.Module):

  def __init__(self):
    super().__init__()
    self.hidden = layers.Dense(64, with_bias=False)
    self.norm = layers.BatchNorm(decay_rate=0.9)
    self.projection = layers.Dense(16)

  def __call__(self, x, is_training):
    x = tf.nn.relu(self.norm(self.hidden(x), is_training))
    return self.projection(x)


class BYOL(snt.Module):

  def __init__(self):
    super().__init__()
    self.online = Encoder()
    self.predictor = [layers.Dense(32, 'relu'), layers.Dense(16)]
    self(tf.zeros([1, 64]), is_training=False)
    # The target begins as the online network, and is not trained.
    self.target = substitution.substitute(
        self.online,
        {
            path: tf.Variable(variable, trainable=False)
            for path, variable in variables.named(self.online).items()
        },
    )

  def __call__(self, x, is_training):
    x = self.online(x, is_training)
    for dense in self.predictor:
      x = dense(x)
    return x


def _objective(model, batch, seed, is_training):
  one = two = batch['image']
  if is_training:
    one, two = (digits.view(one, each) for each in random.split(seed, 2))
  values = tf.add_n([
      2
      * losses.cosine_distance(
          tf.stop_gradient(model.target(other, is_training)),
          model(view, is_training),
      )
      for view, other in ((one, two), (two, one))
  ])
  return objectives.Evaluation(values, {'error': values})


def _follow(state, statistics):
  online = variables.trainable(state.model.online)
  target = variables.named(state.model.target)
  return {
      f'target/{path}': _DECAY * target[path] + (1 - _DECAY) * online[path]
      for path in online
  }


def _train(num_replicas, num_epochs):
  """Returns the state and the mean error of each epoch."""
  tf.random.set_seed(0)
  strategy = virtual_devices.mirrored(num_replicas)
  optimizer = optimizers.adamw(3e-3, weight_decay=1e-4)
  with strategy.scope():
    state = training.TrainState(BYOL(), optimizer)
  train = resident.make_train_loop(
      state,
      _objective,
      optimizer,
      _METRIC,
      {'image': digits.load()},
      strategy,
      jit='off',
      after=_follow,
  )
  history = []
  for epoch in range(num_epochs):
    order = np.random.default_rng(epoch).permutation(1792)
    sums, _ = train(resident.batched(order, 128), epoch)
    history.append(float(training.summarize(_METRIC, sums)['error']))
  return state, history


class BYOLTest(absltest.TestCase):

  def test_learns_without_labels(self):
    state, history = _train(num_replicas=1, num_epochs=40)
    self.assertLess(history[-1], 0.2 * history[0])
    # The encoding says more about a view than its pixels do.
    views = digits.view(digits.load(), tf.constant([0, 9]))
    encoded = state.model.online(views, is_training=False)
    self.assertGreater(digits.score(encoded), digits.score(views) + 0.05)

    evaluate = resident.make_eval_loop(
        state, _objective, _METRIC, {'image': digits.load()}, jit='off'
    )
    values = training.summarize(_METRIC, evaluate()[0])
    predicted, wanted = (
        network(digits.load(), False).numpy().astype('float64')
        for network in (state.model, state.model.target)
    )
    norms = [np.linalg.norm(y, axis=1) for y in (predicted, wanted)]
    cosine = np.sum(predicted * wanted, axis=1) / np.prod(norms, axis=0)
    np.testing.assert_allclose(
        values['error'], np.mean(4 - 4 * cosine), rtol=1e-4
    )

  def test_replicas_change_nothing(self):
    (one, history), (two, again) = (_train(num, 1) for num in (1, 2))
    np.testing.assert_allclose(history, again, rtol=1e-4)
    replicas.assert_same(one, two)


if __name__ == '__main__':
  absltest.main()
