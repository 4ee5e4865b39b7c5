"""Tests of what tracing reveals of a step before it runs."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import compilation, layers, loops, objectives, training
from tests import virtual_devices
from tests.core import tasks


class ZeroSumsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(name=tuple(tasks.TASKS), num_replicas=(1, 2))
  @pytest.mark.medium
  def test_of_every_step(self, name, num_replicas):
    """They are those that `zero_sums` makes, and nothing is trained."""
    task = tasks.TASKS[name]
    strategy = virtual_devices.mirrored(num_replicas)
    with strategy.scope():
      state = tasks.make_state(task, tasks.OPTIMIZER)
    batch = tasks.padded(strategy, task.batch(0))
    train = training.make_train_step(
        task.objective, tasks.OPTIMIZER, task.metric, strategy, after=task.after
    )
    evaluate = training.make_eval_step(task.objective, task.metric, strategy)
    before = [v.numpy() for v in state.named_variables().values()]
    example = tasks.tensors(
        {'weight': np.ones(tasks.BATCH_SIZE, 'float32'), **task.batch(0)}
    )
    with strategy.scope():
      forward = training.trace(task.objective, state.model, example)
    expected = training.zero_sums(task.metric, forward)
    for step in (train, evaluate, lambda *args: {'a': train(*args)}):
      zeros = training.zero_sums_of(step, state, batch)
      zeros = zeros.get('a', zeros)
      tf.nest.map_structure(self.assertAllEqual, zeros, expected)
      self.assertEqual(zeros['loss'].dtype, tf.float64)
    for one, other in zip(before, state.named_variables().values()):
      self.assertAllEqual(one, other)

  def test_a_sum_that_is_none(self):
    def step(state, batch):
      return {'loss': tf.boolean_mask(batch['x'], batch['x'] > state)}

    with self.assertRaisesRegex(ValueError, 'step: expected sums'):
      training.zero_sums_of(step, 0.0, {'x': np.ones(3, 'float32')})


class ComposedTest(tf.test.TestCase):
  """Two networks with a state each, in one function, in one loop."""

  def test_a_loop_over_two_steps(self):
    task = tasks.TASKS['tokens']
    states = [tasks.make_state(task, tasks.OPTIMIZER) for _ in range(2)]
    steps = [
        training.make_train_step(task.objective, tasks.OPTIMIZER, task.metric)
        for _ in states
    ]

    def both(states, batch):
      return {
          name: step(state, batch)
          for name, step, state in zip('ab', steps, states, strict=True)
      }

    batch = tasks.tensors(task.batch(0))
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    zeros = training.zero_sums_of(both, tuple(states), batch)
    loop = loops.make_loop(both)
    sums, taken = loop(tuple(states), iter(dataset), zeros, tf.constant(5))
    self.assertEqual(int(taken), 5)
    self.assertEqual([int(state.step) for state in states], [5, 5])
    self.assertAllClose(sums['a'], sums['b'])
    # A loss in either that is not finite ends the loop.
    states[1].parameters['logits/linear/b'].assign(np.full(5, np.nan))
    _, taken = loop(tuple(states), iter(dataset), zeros, tf.constant(5))
    self.assertEqual(int(taken), 1)


class ReducingTest(parameterized.TestCase):

  def test_who_sums_over_replicas(self):
    class Own(tf.Module):
      reduces_over_replicas = True

    x = {'x': tf.ones([2, 3])}
    objective = lambda model, batch, seed, is_training: objectives.Evaluation(
        tf.reduce_sum(batch['x'], axis=1)
    )
    for model, expected in (
        (layers.Dense(1), False),
        (layers.BatchNorm(), True),
        (Own(), True),
    ):
      forward = training.trace(objective, model, x)
      self.assertEqual(
          compilation.reduces_over_replicas(model, forward), expected
      )


if __name__ == '__main__':
  absltest.main()
