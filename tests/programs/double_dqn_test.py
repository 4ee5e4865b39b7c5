"""Double DQN plays Catch: a replay buffer, a target network, no labels.

van Hasselt et al. 2015, https://arxiv.org/abs/1509.06461, with importance
weights as in https://arxiv.org/abs/1511.05952, section 3.4. Catch is as in
https://arxiv.org/abs/1908.03568: a ball falls, and a paddle moves below it.
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
    substitution,
    training,
    variables,
)
from tests.programs import catch

_TRANSITION = {
    'board': 'float32',
    'action': 'int32',
    'reward': 'float32',
    'discount': 'float32',
    'next_board': 'float32',
}
_METRIC = metrics.collection(
    {name: metrics.of(metrics.mean(), name) for name in ('td_error', 'value')}
)


class QNetwork(snt.Module):

  def __init__(self):
    super().__init__()
    self.hidden, self.values = layers.Dense(64, 'relu'), layers.Dense(3)

  def __call__(self, boards):
    boards = tf.reshape(boards, [-1, catch.ROWS * catch.COLUMNS])
    return self.values(self.hidden(boards))  # [batch_size, 3]


class DoubleDQN(snt.Module):

  def __init__(self):
    super().__init__()
    self.online = QNetwork()
    self.online(tf.zeros([1, catch.ROWS, catch.COLUMNS]))
    # The target begins as the online network, and is not trained.
    self.target = substitution.substitute(
        self.online,
        {
            path: tf.Variable(variable, trainable=False)
            for path, variable in variables.named(self.online).items()
        },
    )


def _objective(model, batch, seed, is_training):
  values = model.online(batch['board'])
  value = tf.gather(values, batch['action'], batch_dims=1)
  best = tf.argmax(model.online(batch['next_board']), axis=1)
  following = tf.gather(model.target(batch['next_board']), best, batch_dims=1)
  goal = tf.stop_gradient(batch['reward'] + batch['discount'] * following)
  return objectives.Evaluation(
      losses.huber_loss(goal, value),
      {'td_error': tf.abs(goal - value), 'value': value},
      weights=batch['importance'],
  )


def _follow_every_50_steps(state, statistics):
  online = variables.named(state.model.online)
  target = variables.named(state.model.target)
  is_due = tf.equal(state.step % 50, 0)
  return {
      f'target/{path}': tf.where(is_due, online[path], target[path])
      for path in online
  }


def _sample(replay, size, generator):
  """Draws ends of games four times as often as other transitions."""
  p = np.array([4.0 if discount == 0 else 1.0 for *_, discount, _ in replay])
  p /= p.sum()
  drawn = generator.choice(len(replay), size, p=p)
  columns = zip(*(replay[index] for index in drawn))
  batch = {
      name: np.array(column, dtype)
      for (name, dtype), column in zip(_TRANSITION.items(), columns)
  }
  return {**batch, 'importance': (p.min() / p[drawn]).astype('float32')}


class DoubleDQNTest(absltest.TestCase):

  def test_learns_to_catch(self):
    tf.random.set_seed(0)
    optimizer = optimizers.adam(3e-3)
    state = training.TrainState(DoubleDQN(), optimizer)
    step = training.make_train_step(
        _objective, optimizer, _METRIC, after=_follow_every_50_steps
    )
    generator, game = np.random.default_rng(0), catch.Catch(seed=1)
    value_of = tf.function(state.model.online)
    replay = []
    for number in range(1200):
      board = game.observe()
      action = int(np.argmax(value_of(board[np.newaxis])))
      if generator.random() < max(0.1, 1 - number / 500):
        action = int(generator.integers(3))
      reward, discount = game.move(action)
      replay.append((board, action, reward, discount, game.observe()))
      if number >= 100:
        step(state, _sample(replay, 32, generator))
    rewards = [reward for *_, reward, discount, _ in replay if discount == 0]
    self.assertLess(np.mean(rewards[:40]), 0)
    self.assertGreater(np.mean(rewards[-40:]), 0.5)

    batch = _sample(replay, 500, generator)
    evaluate = training.make_eval_step(_objective, _METRIC)
    values = training.summarize(_METRIC, evaluate(state, batch))
    model, rows, w = state.model, np.arange(500), batch['importance']
    value = model.online(batch['board']).numpy()[rows, batch['action']]
    best = model.online(batch['next_board']).numpy().argmax(1)
    following = model.target(batch['next_board']).numpy()[rows, best]
    error = np.abs(batch['reward'] + batch['discount'] * following - value)
    np.testing.assert_allclose(
        values['td_error'], np.average(error, weights=w), rtol=1e-4
    )
    np.testing.assert_allclose(
        values['value'], np.average(value, weights=w), rtol=1e-4
    )


if __name__ == '__main__':
  absltest.main()
