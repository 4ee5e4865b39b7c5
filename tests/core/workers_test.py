"""Tests of core.workers: processes on this machine, and one alone."""

from __future__ import annotations

import json

import pytest
import tensorflow as tf
from absl.testing import absltest

from core import workers
from tests.launch import runs
from tests.launch import workers as launched

_PROGRAM = """
import json, sys
from core import distribution, workers
strategy = distribution.create('multi_worker')
index = strategy.cluster_resolver.task_id
text = ['', 'größer\\n' * 200][index]
print(json.dumps([
    workers.gather(strategy, [2**62 + index, -index]),
    workers.texts(strategy, text),
    workers.texts(strategy, ''),
]))
"""


class WorkersTest(absltest.TestCase):

  def test_one_alone(self):
    for strategy in (
        tf.distribute.get_strategy(),
        tf.distribute.OneDeviceStrategy('CPU:0'),
    ):
      self.assertEqual(workers.gather(strategy, [2**62, -1]), [[2**62, -1]])
      self.assertEqual(workers.texts(strategy, 'größer'), ['größer'])

  @pytest.mark.medium
  def test_all_are_told_the_same_exactly(self):
    processes = [
        runs.start_python('-c', _PROGRAM, environment=environment)
        for environment in launched.environments(2)
    ]
    with runs.ending(*processes):
      outputs = [runs.finish(process).out for process in processes]
    expected = [
        [[2**62, 0], [2**62 + 1, -1]],
        ['', 'größer\n' * 200],
        ['', ''],
    ]
    self.assertEqual([json.loads(each) for each in outputs], [expected] * 2)


if __name__ == '__main__':
  absltest.main()
