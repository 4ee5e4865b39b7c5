"""Tests of what a forward pass would assign."""

from __future__ import annotations

import tensorflow as tf
from absl.testing import absltest

from core import assignments, layers, optimizers, training
from tests.core import tasks


class AssignmentsTest(tf.test.TestCase):

  def test_outside_it_takes_place(self):
    mean = tf.Variable(1.0)
    assignments.assign(mean, assignments.value(mean) + 1.0)
    self.assertEqual(float(mean), 2.0)

  def test_values_go_on_from_those_before(self):
    mean, other = tf.Variable(1.0), tf.Variable(1.0)
    before = {'mean': tf.constant(5.0)}
    with assignments.collected({'mean': mean}, before) as values:
      for variable in (mean, mean, other):
        assignments.assign(variable, assignments.value(variable) * 2.0)
    self.assertEqual((float(mean), float(other)), (1.0, 2.0))
    self.assertEqual(float(values['mean']), 20.0)
    self.assertEqual(float(before['mean']), 5.0)

  def test_contexts_end_with_an_error(self):
    mean = tf.Variable(1.0)
    with (
        self.assertRaises(ZeroDivisionError),
        assignments.collected({'mean': mean}),
    ):
      _ = 1 / 0
    assignments.assign(mean, tf.constant(2.0))
    self.assertEqual(float(mean), 2.0)

  def test_in_a_condition_of_the_modules_own_it_takes_place(self):
    norm = layers.BatchNorm(decay_rate=0.5)
    norm.build([None, 1])
    x = tf.constant([[1.0], [3.0]])

    @tf.function(autograph=False)
    def forward(is_on):
      with assignments.collected(dict(enumerate(norm.variables))) as values:
        y = tf.cond(is_on, lambda: norm(x, True), lambda: x)
      assert not values
      return y

    forward(tf.constant(False))
    self.assertAllEqual(norm.moving_mean, [0.0])
    forward(tf.constant(True))
    self.assertAllEqual(norm.moving_mean, [2.0])

  def test_a_train_step_assigns_at_its_end(self):
    """And once for each call of a module, in their order."""
    task, seen = tasks.TASKS['norm'], []

    def objective(model, batch, seed, is_training):
      for _ in range(2):
        evaluation = task.objective(model, batch, seed, is_training)
        seen.append(tf.identity(model.norm.moving_weight))
      return evaluation

    optimizer = optimizers.sgd(0.1)
    state = tasks.make_state(task, optimizer)
    model = state.model
    for variable in model.norm.variables:
      if not variable.trainable:
        variable.assign(tf.zeros_like(variable))
    tf.config.run_functions_eagerly(True)
    self.addCleanup(tf.config.run_functions_eagerly, False)
    step = training.make_train_step(
        objective,
        optimizer,
        training.metrics.Metric(lambda y, p, weights: {}, dict),
    )
    step(state, tasks.tensors(task.batch(0)))
    self.assertAllEqual(seen, [0.0, 0.0])
    self.assertAllClose(model.norm.moving_weight, 1 - 0.5**2)


if __name__ == '__main__':
  absltest.main()
