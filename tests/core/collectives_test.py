"""How many collectives a train step has: for each, all wait for the slowest.

They are counted in the graph of the step, as GPUs and workers run it: whatever
makes them, a layer, a gradient or the step itself, they are operations there.
"""

from __future__ import annotations

import pytest
from absl.testing import absltest, parameterized

from core import layers, models
from tests import virtual_devices
from tests.core import runs
from tests.core.models import cases

_IMAGE_MODELS = tuple(
    name
    for name in models.REGISTRY
    if cases.create(name).input_names == ('image',)
)
# As it is by default, with 13 batch norms.
_RESNET = {
    name: models.arguments('resnet')[name].default
    for name in cases.ARGUMENTS['resnet']
}


def _collectives(run):
  """Lists the kinds of the collectives of all replicas in a train step."""
  step = run.train_step.get_concrete_function(
      run.state, next(run.distribute(runs.batches(run.model, 1, 4)))
  )
  graph = step.graph.as_graph_def()
  called = [node for part in graph.library.function for node in part.node_def]
  kinds = [node.op for node in [*graph.node, *called]]
  return [kind for kind in kinds if kind.startswith(('Collective', 'Nccl'))]


class CollectivesTest(parameterized.TestCase):

  @parameterized.parameters(*_IMAGE_MODELS)
  @pytest.mark.medium
  def test_one_for_a_step_and_two_for_each_batch_norm(self, name):
    arguments = _RESNET if name == 'resnet' else {}
    run = runs.make(name, num_replicas=virtual_devices.COLLECTIVE, **arguments)
    norms = [
        part
        for part in run.model.submodules
        if isinstance(part, layers.BatchNorm)
    ]
    expected = 1 + 2 * len(norms)
    if name == 'resnet':
      self.assertEqual(expected, 27)
    kinds = _collectives(run)
    self.assertEqual(set(kinds), {'CollectiveReduceV2'})
    self.assertLen(kinds, expected * run.strategy.num_replicas_in_sync)


if __name__ == '__main__':
  absltest.main()
