"""1 = 2 = 3 replicas, of which one has no example."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import distribution, variables
from tests import virtual_devices
from tests.core.conformance import member, table

# Of two replicas the second has none, of three the third.
_WEIGHTS = np.float32([1, 1, 0.5, 1, 2, 1, 0, 0, 0, 0, 0, 0])
# The rest is tried with the steps of training, see training_test.
_KINDS = ('layers', 'losses')


@functools.cache
def _replicated(num_replicas, kind):
  """Evaluates all members of a kind in one step, for one trace is enough."""
  strategy = virtual_devices.mirrored(num_replicas)
  lines = {name: table.MEMBERS[name] for _, name in table.named(kind)}
  with strategy.scope():
    subjects = {name: line.make() for name, line in lines.items()}
  batches = {name: line.batch(_WEIGHTS) for name, line in lines.items()}

  def part(context, array):
    parts = np.split(array, context.num_replicas_in_sync)
    return tf.constant(parts[context.replica_id_in_sync_group])

  distributed = tf.nest.map_structure(
      lambda array: strategy.experimental_distribute_values_from_function(
          lambda context: part(context, array)
      ),
      batches,
  )

  @tf.function
  def step(batches):
    def on_replica(batches):
      observed = {
          name: member.observe(subject, batches[name])
          for name, subject in subjects.items()
      }
      sums = {name: each.sums for name, each in observed.items()}
      examples = {name: each.examples for name, each in observed.items()}
      return examples, distribution.all_reduce_sum(sums)

    return strategy.run(on_replica, (batches,))

  examples, sums = step(distributed)
  local = strategy.experimental_local_results
  examples = tf.nest.map_structure(
      lambda value: np.concatenate(local(value)), examples
  )
  sums = distribution.first_replica(strategy, sums)
  results = {}
  for name, subject in subjects.items():
    rest = member.finished(subject, sums[name])
    # The variables, too: those that training moves must move together.
    named = variables.named(subject.module) if subject.module else {}
    assert not distribution.unequal_replicas(named), name
    rest = {**named, **rest}
    rest = {key: np.asarray(value) for key, value in rest.items()}
    results[name] = examples[name], rest
  return results


class ReplicasTest(parameterized.TestCase):

  @parameterized.named_parameters(*table.named(*_KINDS))
  def test_replicas_are_one(self, name):
    line = table.MEMBERS[name]
    kind = name.split('.')[0]
    expected = _replicated(1, kind)[name]
    with line.holds(self, 'replicas'):
      for num_replicas in (2, 3):
        actual = _replicated(num_replicas, kind)[name]
        for some, others in zip(actual, expected, strict=True):
          member.assert_same(some, others, 2e-5)


if __name__ == '__main__':
  absltest.main()
