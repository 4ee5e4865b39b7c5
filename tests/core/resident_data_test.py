"""Tests of what resident loops take: any batch, any size, any replicas."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import resident, training
from core import rows as rows_lib
from tests import virtual_devices
from tests.core import tasks

_NUM_EXAMPLES = tasks.BATCH_SIZE * tasks.NUM_BATCHES


def _arrays(task):
  """All batches of a task in one."""
  batches = [tasks.tensors(task.batch(n)) for n in range(tasks.NUM_BATCHES)]

  def concat(*parts):
    if isinstance(parts[0], tf.SparseTensor):
      return tf.sparse.concat(0, list(parts))
    return tf.concat(parts, axis=0)

  return tf.nest.map_structure(concat, *batches)


def _train(task, num_replicas, rows, **options):
  strategy = virtual_devices.mirrored(num_replicas)
  with strategy.scope():
    state = tasks.make_state(task, tasks.OPTIMIZER)
  train = resident.make_train_loop(
      state,
      task.objective,
      tasks.OPTIMIZER,
      task.metric,
      _arrays(task),
      strategy,
      after=task.after,
      **options,
  )
  sums, taken = train(rows, epoch=0)
  variables = {k: v.numpy() for k, v in state.named_variables().items()}
  return sums, int(taken), variables


class ResidentTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(
      name=tuple(tasks.TASKS),
      num_replicas=(1, 2, 3),
  )
  @pytest.mark.medium
  def test_is_the_step_on_the_same_batches(self, name, num_replicas):
    """Whether replicas divide the 7 examples of a batch or not."""
    task = tasks.TASKS[name]
    expected = tasks.train(task)
    rows = resident.batched(np.arange(_NUM_EXAMPLES), tasks.BATCH_SIZE)
    sums, taken, variables = _train(task, num_replicas, rows)
    self.assertEqual(taken, tasks.NUM_BATCHES)
    total = tf.nest.map_structure(lambda *x: sum(x), *expected.sums)
    tf.nest.map_structure(self.assertAllClose, sums, total)
    self.assertAllClose(variables, expected.variables)

  @parameterized.parameters(
      ((np.ones(3), np.ones(3)),), ([np.ones(3)],), (np.ones(3),), (None,)
  )
  def test_arrays_without_names(self, arrays):
    task = tasks.TASKS['tokens']
    state = tasks.make_state(task, tasks.OPTIMIZER)
    with self.assertRaisesRegex(
        TypeError, r'^arrays: expected a mapping .* got a \w+\.'
    ):
      resident.make_train_loop(
          state,
          task.objective,
          tasks.OPTIMIZER,
          task.metric,
          arrays,
          virtual_devices.mirrored(1),
      )

  def test_a_last_row_that_is_not_full(self):
    task = tasks.TASKS['tokens']
    order = np.arange(_NUM_EXAMPLES)[::-1][:10]
    rows = resident.batched(order, 4)
    self.assertAllEqual(rows[-1], [order[8], order[9], -1, -1])
    sums, taken, _ = _train(task, 2, rows)
    self.assertEqual(taken, 3)
    weight = _arrays(task)['weight'].numpy()[order]
    self.assertAllClose(sums['weight'], weight.sum())

  def test_objectives_that_always_draw(self):
    """They are traced with a seed, as they are run."""
    task = tasks.TASKS['noise']

    def objective(model, batch, seed, is_training):
      assert seed is not None
      return task.objective(model, batch, seed, is_training)

    rows = resident.batched(np.arange(_NUM_EXAMPLES), tasks.BATCH_SIZE)
    sums, _, _ = _train(task._replace(objective=objective), 1, rows)
    expected, _, _ = _train(task, 1, rows)
    self.assertAllEqual(sums['loss'], expected['loss'])

  def test_arrays_of_unequal_length_in_a_nest(self):
    with self.assertRaisesRegex(ValueError, "got {'a': 2, 'b/c': 3}"):
      resident.place({'a': np.zeros(2), 'b': {'c': np.zeros([3, 1])}})

  def test_size_of_batches(self):
    with self.assertRaisesRegex(ValueError, 'global_batch_size.*at least 1'):
      resident.batched([1, 2], 0)


class EvalTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(
      name=tuple(tasks.TASKS),
      num_replicas=(1, 2),
  )
  @pytest.mark.medium
  def test_every_example_once(self, name, num_replicas):
    task = tasks.TASKS[name]
    strategy = virtual_devices.mirrored(num_replicas)
    with strategy.scope():
      state = tasks.make_state(task, tasks.OPTIMIZER, average_decay=0.5)
    arrays = _arrays(task)
    step = training.make_eval_step(task.objective, task.metric)
    expected = step(tasks.make_state(task, tasks.OPTIMIZER), arrays)
    for parameter in state.parameters.values():
      parameter.assign_add(tf.ones_like(parameter))  # The average has not.
    evaluate = resident.make_eval_loop(
        state,
        task.objective,
        task.metric,
        arrays,
        strategy,
        global_batch_size=5,
        use_average=True,
    )
    before = state.model.variables[0].numpy()
    for _ in range(2):
      sums, taken = evaluate()
      self.assertEqual(int(taken), 5)
      tf.nest.map_structure(self.assertAllClose, sums, expected)
    self.assertAllEqual(state.model.variables[0], before)
    half = evaluate(resident.batched(np.arange(10), 5), num_steps=1)[0]
    weight = step(state, rows_lib.take(arrays, tf.range(5)))['weight']
    self.assertAllClose(half['weight'], weight)

  def test_compiled_as_a_whole(self):
    task = tasks.TASKS['tokens']
    state = tasks.make_state(task, tasks.OPTIMIZER)
    sums = [
        resident.make_eval_loop(
            state, task.objective, task.metric, _arrays(task), jit=jit
        )()[0]
        for jit in ('off', 'force')
    ]
    tf.nest.map_structure(self.assertAllClose, *sums)
    with self.assertRaisesRegex(ValueError, 'jit'):
      resident.make_eval_loop(
          state, task.objective, task.metric, _arrays(task), jit='maybe'
      )


if __name__ == '__main__':
  absltest.main()
