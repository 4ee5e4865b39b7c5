"""Tests that a run of any task is exact: resumed, over replicas, over workers.

The batch, 13, is divided by no number of replicas; of the last batch of 17
validation examples a replica of three gets one example or none.
"""

from __future__ import annotations

import functools
import json
import pathlib
import shutil
import signal

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from tests.launch import runs, workers
from tests.launch.tasks import small_sets

_NUM_STEPS = 9
_TASKS = {
    'classification': {},
    'multi_label': {},
    'regression': {},
    'text': {},
    'segmentation': {'model_arg': {'channels': (4, 8)}},
}


def _changes(task, **changes):
  """Returns the config of a task's runs, as changes of the default one."""
  return {
      'dataset': f'{small_sets.__name__}:{task}',
      'validation_examples': None,
      'model': None,
      'model_arg': {},
      'loss': None,
      'global_batch_size': 13,
      'num_epochs': 3,
      'log_every_steps': 2,
      'checkpoint_every_steps': 4,
      'optimizer': 'sgd',
      'learning_rate': 0.05,
      'jit_compile': 'off',
      **_TASKS[task],
      **changes,
  }


@functools.cache
def _whole(task):
  """Returns the work directory of a run of one replica, start to end."""
  workdir = pathlib.Path(runs.kept_directory(), f'exact_{task}')
  ended = runs.train(workdir, **_changes(task))
  if ended.code:
    raise AssertionError(ended)
  return workdir


class ExactnessTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(runs.scratch(self)) / 'run'

  def assert_same(self, workdir, whole):
    """Expects what differs in rounding alone."""
    rows, same = runs.rows(workdir), runs.rows(whole)
    self.assertLen(rows, len(same))
    for one, other in zip(rows, same):
      self.assertEqual(one.keys(), other.keys())
      for name, value in other.items():
        if isinstance(value, float):
          np.testing.assert_allclose(
              one[name], value, rtol=1e-4, atol=1e-6, err_msg=name
          )
        else:
          self.assertEqual(one[name], value, name)
    result, same = runs.result(workdir), runs.result(whole)
    self.assertEqual(result['num_test_examples'], small_sets.SIZES['test'])
    for name, value in same['test']['values'].items():
      np.testing.assert_allclose(
          result['test']['values'][name],
          value,
          rtol=1e-4,
          atol=1e-6,
          err_msg=name,
      )

  @parameterized.parameters(*_TASKS)
  @pytest.mark.medium
  def test_what_was_stopped_goes_on_to_the_bit(self, task):
    whole = _whole(task)
    with runs.signal_at(5, signal.SIGTERM):
      ended = runs.train(self.workdir, **_changes(task))
    self.assertEqual(ended.code, 128 + signal.SIGTERM, ended.err)
    config = json.loads((self.workdir / 'config.json').read_text())
    self.assertIsNone(config['config']['task'])  # The data said what it is.
    ended = runs.train(self.workdir, **_changes(task))
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(runs.result(whole)['num_steps'], _NUM_STEPS)
    self.assertEqual(runs.digest(self.workdir), runs.digest(whole))
    self.assertEqual(runs.rows(self.workdir), runs.rows(whole))
    self.assertEqual(
        runs.result(self.workdir)['test'], runs.result(whole)['test']
    )

  @parameterized.parameters(*_TASKS)
  @pytest.mark.medium
  def test_an_evaluation_over_replicas_is_verified(self, task):
    shutil.copytree(_whole(task), self.workdir)
    ended = runs.call(
        'evaluate', f'--workdir={self.workdir}', '--verify', num_replicas=3
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    [line] = [
        each for each in ended.out.splitlines() if each[:9] == 'verified:'
    ]
    self.assertStartsWith(line, 'verified: 16 examples, each once; loss, ')
    self.assertNotIn('not verifiable', line)
    told = json.loads((self.workdir / 'evaluation_test.json').read_text())
    for name in told['values']:
      self.assertIn(name, line)
    with np.load(self.workdir / 'predictions_test.npz') as predictions:
      self.assertLen(predictions['index'], 16)

  @parameterized.parameters(*_TASKS)
  @pytest.mark.medium
  def test_three_replicas(self, task):
    self.assert_replicas(task, 3)

  @parameterized.parameters(*_TASKS)
  @pytest.mark.slow
  def test_two_replicas(self, task):
    self.assert_replicas(task, 2)

  def assert_replicas(self, task, number):
    ended = runs.train(self.workdir, number, **_changes(task))
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn(f'over {number} CPU replica(s)', ended.out)
    self.assertIn(f'few steps: {_NUM_STEPS} in all, of 13 examples', ended.out)
    self.assert_same(self.workdir, _whole(task))

  # The network of masks has batch norm, which sees a micro-batch alone.
  @parameterized.parameters('regression', 'text')
  @pytest.mark.medium
  def test_micro_batches(self, task):
    ended = runs.train(self.workdir, 2, **_changes(task, micro_batch_size=3))
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assert_same(self.workdir, _whole(task))


class WorkersTest(parameterized.TestCase):

  @parameterized.parameters(*_TASKS)
  @pytest.mark.slow
  def test_two_workers(self, task):
    root = pathlib.Path(runs.scratch(self))
    processes = workers.start(root / 'run', runs.config(**_changes(task)))
    with runs.ending(*processes):
      chief, other = map(runs.finish, processes)
    self.assertEqual((chief.code, chief.err), (0, ''))
    self.assertEqual(tuple(other), (0, '', ''))
    ExactnessTest.assert_same(self, root / 'run', _whole(task))


if __name__ == '__main__':
  absltest.main()
