"""Tests of launch.cluster.resolving."""

from __future__ import annotations

import json

from absl.testing import absltest, parameterized

from launch import programs
from launch.cluster import resolving

_SLURM = {
    'SLURM_STEP_NUM_TASKS': '2',
    'SLURM_STEP_TASKS_PER_NODE': '1(x2)',
    'SLURM_STEP_NODELIST': 'n[9-10]',
    'SLURM_JOB_ID': '7',
    'SLURM_PROCID': '1',
    'SLURM_NODEID': '1',
}
_TWO = {
    'TF_CONFIG': json.dumps({
        'cluster': {'worker': ['a:1', 'b:1']},
        'task': {'type': 'worker', 'index': 1},
    })
}
_ONE = {
    'TF_CONFIG': json.dumps(
        {'cluster': {'worker': ['a:1']}, 'task': {'type': 'worker', 'index': 0}}
    )
}


class ResolveTest(parameterized.TestCase):

  @parameterized.parameters('auto', 'multi_worker')
  def test_tf_config_is_obeyed(self, strategy):
    for environment in (dict(_TWO), {**_SLURM, **_TWO}):
      found = resolving.resolve(strategy, None, environment)
      self.assertEqual((found.addresses, found.index), (('a:1', 'b:1'), 1))
      self.assertEqual(environment['TF_CONFIG'], _TWO['TF_CONFIG'])

  @parameterized.parameters('auto', 'multi_worker')
  def test_slurm_is_written_into_tf_config(self, strategy):
    environment = {**_SLURM, 'TF_CONFIG': ''}
    found = resolving.resolve(strategy, None, environment)
    self.assertEqual((found.size, found.index), (2, 1))
    value = json.loads(environment['TF_CONFIG'])
    self.assertEqual(value['cluster']['worker'], list(found.addresses))
    self.assertEqual(value['task'], {'type': 'worker', 'index': 1})

  @parameterized.product(
      strategy=('auto', 'mirrored', 'one_device'),
      environment=(
          {},
          {'TF_CONFIG': ''},
          _ONE,
          {**_SLURM, 'SLURM_STEP_NUM_TASKS': '1'},
      ),
  )
  def test_alone(self, strategy, environment):
    self.assertIsNone(resolving.resolve(strategy, 2, dict(environment)))

  def test_one_worker_that_is_asked_for(self):
    found = resolving.resolve('multi_worker', None, dict(_ONE))
    self.assertEqual(found.size, 1)

  @parameterized.parameters(
      ('multi_worker', None, {}, '--strategy=multi_worker: .*TF_CONFIG'),
      ('mirrored', None, _TWO, 'TF_CONFIG has 2 workers, but mirrored'),
      ('one_device', None, _TWO, 'TF_CONFIG has 2 workers, but one_device'),
      ('mirrored', None, _SLURM, 'Slurm has 2 workers, but mirrored'),
      ('auto', 2, _TWO, '--num_virtual_devices=2: with several workers'),
      ('multi_worker', 2, _TWO, '--num_virtual_devices=2'),
      ('auto', None, {'TF_CONFIG': '{}'}, 'names no cluster'),
      ('mirrored', None, {'TF_CONFIG': '{'}, 'is not JSON'),
  )
  def test_what_is_refused(self, strategy, virtual, environment, message):
    with self.assertRaisesRegex(programs.UserError, message):
      resolving.resolve(strategy, virtual, dict(environment))


if __name__ == '__main__':
  absltest.main()
