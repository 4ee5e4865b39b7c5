"""Tests of variables that follow, by `after`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, objectives, optimizers, training
from tests import virtual_devices
from tests.core import tasks

_BATCH = {
    'x': np.array([[1.0, 2.0], [3.0, 5.0]], 'float32'),
    'weight': np.array([1.0, 0.5], 'float32'),
}


class _Target(tf.Module):
  """A layer, another that follows it, and a count."""

  def __init__(self):
    super().__init__()
    self.online = layers.Dense(1, with_bias=False, w_init=tf.ones)
    self.online.build([None, 2])
    self.target = tf.Variable([[2.0], [2.0]], trainable=False)
    self.seen = tf.Variable(0, trainable=False, dtype=tf.int32)


def _objective(model, batch, seed, is_training):
  values = model.online(batch['x'])[:, 0]
  return objectives.Evaluation(values, statistics=[tf.size(values)])


def _step(after, num_replicas=1):
  strategy = virtual_devices.mirrored(num_replicas)
  optimizer = optimizers.sgd(0.1)
  with strategy.scope():
    state = training.TrainState(_Target(), optimizer)
  metric = training.metrics.Metric(lambda y, p, weights: {}, dict)
  step = training.make_train_step(
      _objective, optimizer, metric, strategy, after=after
  )
  batch = {  # The whole of it for each replica.
      name: strategy.experimental_distribute_values_from_function(
          lambda _, value=value: value
      )
      for name, value in _BATCH.items()
  }
  return state, lambda: step(state, batch)


class AfterTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(1, 2)
  def test_parameters_are_the_new_ones(self, num_replicas):
    def after(state, statistics):
      return {
          'target': state.model.online.linear.w,
          'seen': state.model.seen + statistics[0],
      }

    state, step = _step(after, num_replicas)
    for number in (1, 2):
      step()
      # The mean gradient of x, by weights 1 and 0.5.
      expected = 1 - number * 0.1 * np.array([[2.5], [4.5]]) / 1.5
      self.assertAllClose(state.model.online.linear.w, expected)
      self.assertAllEqual(state.model.target, state.model.online.linear.w)
      # Each replica was given the whole batch here.
      self.assertEqual(state.model.seen.numpy(), number * 2 * num_replicas)

  @parameterized.named_parameters(
      ('unknown', {'targets': 0.0}, ValueError, "no variable 'targets'"),
      ('trained', {'online/linear/w': 0.0}, ValueError, 'that is not trained'),
      ('of_another_shape', {'target': tf.zeros([2])}, ValueError, 'target: ex'),
      ('of_another_type', {'seen': tf.zeros([])}, ValueError, 'expected int32'),
      ('no_mapping', [0.0], TypeError, 'mapping of paths.*got a list'),
  )
  def test_refused_while_tracing(self, values, error, message):
    state, step = _step(lambda state, statistics: values)
    with self.assertRaisesRegex(error, message):
      step()
    self.assertEqual(state.step.numpy(), 0)
    self.assertAllEqual(state.model.online.linear.w, [[1.0], [1.0]])

  def test_a_variable_that_follows_is_equal_on_replicas(self):
    task = tasks.TASKS['codes']
    one, two = (
        tasks.train(task, num_replicas, distribute).variables['model/codes']
        for num_replicas, distribute in ((1, tasks.whole), (2, tasks.uneven))
    )
    self.assertAllClose(one, two)
    self.assertNotAllClose(one, task.model().codes)


if __name__ == '__main__':
  absltest.main()
