"""BYOL: an encoder that predicts what a slow copy of itself makes of an image.

Grill et al. 2020, https://arxiv.org/abs/2006.07733, equations 1 and 2, on
scikit-learn's digits: no labels, and a target network that follows by `after`.
"""

from __future__ import annotations

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest
from sklearn import datasets, linear_model, preprocessing

from core import distribution, layers, losses, metrics, objectives, optimizers
from core import random, resident, substitution, training, variables
from tests import virtual_devices

_DECAY = 0.95
_METRIC = metrics.collection({'error': metrics.of(metrics.mean(), 'error')})


class Encoder(snt.Module):

  def __init__(self):
    super().__init__()
    self.hidden = layers.Dense(64, with_bias=False)
    self.norm = layers.BatchNorm(momentum=0.9)
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
    self.target = substitution.substitute(self.online, {
        path: tf.Variable(variable, trainable=False)
        for path, variable in variables.named(self.online).items()
    })

  def __call__(self, x, is_training):
    x = self.online(x, is_training)
    for dense in self.predictor:
      x = dense(x)
    return x


def _view(batch, seed):
  """Shifts an image by up to a pixel and adds noise; a mere image unseeded."""
  x = batch['image']
  if seed is None:
    return tf.reshape(x, [-1, 64])
  size = tf.shape(x)[0]
  seeds = random.split(seed, 2)
  shift = tf.cast(3 * random.uniform(seeds[0], [size, 2]), tf.int32)
  around = tf.pad(x, [[0, 0], [1, 1], [1, 1]])
  rows = shift[:, :1] + tf.range(8)
  columns = shift[:, 1:] + tf.range(8)
  x = tf.gather(around, rows, batch_dims=1)
  x = tf.gather(tf.transpose(x, [0, 2, 1]), columns, batch_dims=1)
  return tf.reshape(x, [-1, 64]) + 0.2 * random.normal(seeds[1], [size, 64])


def _objective(model, batch, seed, is_training):
  seeds = random.split(seed, 2) if is_training else (None, None)
  one, two = (_view(batch, each) for each in seeds)
  values = tf.add_n([
      2 * losses.cosine_distance(
          tf.stop_gradient(model.target(other, is_training)),
          model(view, is_training))
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


def _train(num_replicas, num_epochs, jit='auto'):
  """Returns the state and the mean error of each epoch."""
  tf.random.set_seed(0)
  strategy = virtual_devices.mirrored(num_replicas)
  optimizer = optimizers.adamw(3e-3, weight_decay=1e-4)
  with strategy.scope():
    state = training.TrainState(BYOL(), optimizer)
  train = resident.make_train_loop(
      state, _objective, optimizer, _METRIC, _images(), strategy, jit=jit,
      after=_follow)
  history = []
  for epoch in range(num_epochs):
    order = np.random.default_rng(epoch).permutation(1792)
    sums, _ = train(resident.batched(order, 128), epoch)
    history.append(float(training.summarize(_METRIC, sums)['error']))
  return state, history


def _images():
  return {'image': datasets.load_digits().images.astype('float32') / 16}


def _score(vectors):
  """Scores a linear classifier of them, which is shown 200 labels."""
  y = datasets.load_digits().target
  x = preprocessing.scale(vectors)
  model = linear_model.LogisticRegression(max_iter=300).fit(x[:200], y[:200])
  return model.score(x[200:], y[200:])


class BYOLTest(absltest.TestCase):

  def test_learns_without_labels(self):
    state, history = _train(num_replicas=1, num_epochs=60)
    self.assertLess(history[-1], 0.1 * history[0])
    # Of shifted and noisy digits it tells more than their pixels do.
    views = _view(_images(), tf.constant([0, 9]))
    encoded = state.model.online(views, is_training=False)
    self.assertGreater(_score(encoded), 1.4 * _score(views))

    evaluate = resident.make_eval_loop(state, _objective, _METRIC, _images())
    values = training.summarize(_METRIC, evaluate()[0])
    x = tf.reshape(_images()['image'], [-1, 64])
    predicted, wanted = (
        network(x, is_training=False).numpy().astype('float64')
        for network in (state.model, state.model.target)
    )
    norms = [np.linalg.norm(y, axis=1) for y in (predicted, wanted)]
    cosine = np.sum(predicted * wanted, axis=1) / np.prod(norms, axis=0)
    np.testing.assert_allclose(
        values['error'], np.mean(4 - 4 * cosine), rtol=1e-4)

  def test_replicas_change_nothing(self):
    (one, history), (two, again) = (_train(n, 1, 'off') for n in (1, 2))
    np.testing.assert_allclose(history, again, rtol=1e-4)
    named = two.named_variables()
    self.assertEmpty(distribution.unequal_replicas(named))
    for path, variable in one.named_variables().items():
      np.testing.assert_allclose(
          variable, named[path].numpy(), rtol=1e-2, atol=1e-3, err_msg=path)


if __name__ == '__main__':
  absltest.main()
