"""Every kind of task is the same training, however it is computed."""

from __future__ import annotations

import functools
import math

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import compilation, loss_scaling, precision
from tests.core import tasks

_NAMES = tuple(tasks.TASKS)
# XLA has no sparse tensors; batch norm sees the examples of a micro-batch.
_COMPILED = tuple(name for name in _NAMES if name != 'bags')
_ADDITIVE = tuple(name for name in _NAMES if name != 'norm')
_REPLICAS = ((3, tasks.padded), (3, tasks.uneven))


@functools.cache
def _expected(name):
  return tasks.train(tasks.TASKS[name])


class ContractsTest(parameterized.TestCase):

  def assert_same(self, name, trained, rtol=2e-5):
    expected = _expected(name)
    for one, other in zip(trained.sums, expected.sums, strict=True):
      tf.nest.map_structure(
          functools.partial(np.testing.assert_allclose, rtol=rtol, atol=1e-5),
          one,
          other,
      )
    self.assertEqual(trained.variables.keys(), expected.variables.keys())
    for path, value in expected.variables.items():
      np.testing.assert_allclose(
          trained.variables[path], value, rtol=rtol, atol=1e-6, err_msg=path
      )

  @parameterized.parameters(*_NAMES)
  def test_every_step_moves_every_parameter(self, name):
    """So that the comparisons below are about something."""
    first = tasks.train(
        tasks.TASKS[name]._replace(
            batch=lambda number: tasks.TASKS[name].batch(0)
        )
    )
    losses = [sums['loss'] / sums['weight'] for sums in first.sums]
    self.assertLess(losses[-1], losses[0])
    for path, value in first.variables.items():
      if path.startswith('optimizer/') and not path.endswith('count'):
        self.assertGreater(np.abs(value).max(), 0, path)

  @parameterized.product(name=_NAMES, case=_REPLICAS)
  def test_replicas(self, name, case):
    num_replicas, distribute = case
    if distribute is tasks.uneven and name == 'noise':
      self.skipTest('Random numbers want parts of one size.')
    trained = tasks.train(tasks.TASKS[name], num_replicas, distribute)
    self.assert_same(name, trained)

  @parameterized.parameters(*_NAMES)
  def test_eager(self, name):
    tf.config.run_functions_eagerly(True)
    self.addCleanup(tf.config.run_functions_eagerly, False)
    self.assert_same(name, tasks.train(tasks.TASKS[name]))

  @parameterized.product(
      name=_COMPILED,
      extent=(compilation.Extent.PARTS, compilation.Extent.STEP),
  )
  def test_compiled(self, name, extent):
    trained = tasks.train(tasks.TASKS[name], extent=extent)
    self.assert_same(name, trained, rtol=1e-4)

  @parameterized.parameters(*_NAMES)
  def test_compiled_update(self, name):
    trained = tasks.train(
        tasks.TASKS[name], 2, tasks.padded, extent=compilation.Extent.UPDATE
    )
    self.assert_same(name, trained, rtol=1e-4)

  @parameterized.parameters(
      *((name, size) for name in _ADDITIVE for size in (1, 3)),
      ('tokens', 2),
      ('tokens', 7),
  )
  def test_micro_batches(self, name, size):
    trained = tasks.train(tasks.TASKS[name], micro_batch_size=size)
    self.assert_same(name, trained)

  @parameterized.parameters(*_ADDITIVE)
  def test_micro_batches_on_replicas(self, name):
    trained = tasks.train(
        tasks.TASKS[name], 2, tasks.padded, micro_batch_size=3
    )
    self.assert_same(name, trained)

  @parameterized.parameters(*(n for n in _ADDITIVE if n in _COMPILED))
  def test_micro_batches_compiled(self, name):
    trained = tasks.train(
        tasks.TASKS[name],
        micro_batch_size=2,
        extent=compilation.Extent.PARTS,
    )
    self.assert_same(name, trained, rtol=1e-4)

  def test_micro_batches_normalise_over_replicas(self):
    """On replicas a micro-batch is one of all of them together."""
    one, two = (
        tasks.train(
            tasks.TASKS['norm']._replace(batch=_symmetric),
            num_replicas,
            distribute,
            micro_batch_size=size,
        )
        for num_replicas, distribute, size in (
            (1, tasks.whole, 4),
            (2, _interleaved, 2),
        )
    )
    for path, value in one.variables.items():
      np.testing.assert_allclose(
          two.variables[path], value, rtol=2e-5, atol=1e-6, err_msg=path
      )

  @parameterized.product(name=_NAMES, num_replicas=(1, 2))
  def test_a_skipped_step_undoes_all_of_it(self, name, num_replicas):
    task = tasks.TASKS[name]
    half = precision.mixed(task.objective, 'float16')

    def overflowing(model, batch, seed, is_training):
      evaluation = half(model, batch, seed, is_training)
      statistics = tf.nest.map_structure(
          lambda x: x * math.nan, evaluation.statistics
      )
      return evaluation._replace(
          values=evaluation.values * math.inf, statistics=statistics
      )

    options = {'loss_scale': loss_scaling.init(), 'average_decay': 0.9}
    trained = tasks.train(
        task, num_replicas, tasks.padded, overflowing, options
    )
    self.assertEqual(trained.variables['skipped/total'], tasks.NUM_BATCHES)
    state = tasks.make_state(task, tasks.OPTIMIZER, **options)
    for path, variable in state.named_variables().items():
      if not path.startswith(('step', 'skipped/', 'loss_scale/')):
        np.testing.assert_array_equal(
            trained.variables[path], variable.numpy(), path
        )


def _symmetric(number):
  batch = tasks.TASKS['norm'].batch(number)
  return {name: np.concatenate([v, v[:1]]) for name, v in batch.items()}


def _interleaved(strategy, batch):
  """Gives each of two replicas two of four examples of a micro-batch."""
  batch = tasks.tensors(batch)

  def part(context):
    first = 2 * context.replica_id_in_sync_group
    rows = tf.constant([first, first + 1, first + 4, first + 5])
    return tf.nest.map_structure(lambda x: tf.gather(x, rows), batch)

  return strategy.experimental_distribute_values_from_function(part)


if __name__ == '__main__':
  absltest.main()
