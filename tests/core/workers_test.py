"""Tests of core.workers: processes on this machine, and one alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import tensorflow as tf
from absl.testing import absltest

from core import workers
from tests.launch import runs

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
        tf.distribute.get_strategy(), tf.distribute.OneDeviceStrategy('CPU:0')
    ):
      self.assertEqual(workers.gather(strategy, [2**62, -1]), [[2**62, -1]])
      self.assertEqual(workers.texts(strategy, 'größer'), ['größer'])

  def test_all_are_told_the_same_exactly(self):
    addresses = [f'localhost:{port}' for port in runs.free_ports(2)]
    processes = []
    for index in range(2):
      environment = dict(os.environ, TF_CONFIG=json.dumps({
          'cluster': {'worker': addresses},
          'task': {'type': 'worker', 'index': index},
      }))
      processes.append(subprocess.Popen(
          [sys.executable, '-c', _PROGRAM], cwd=runs.ROOT, env=environment,
          stdout=subprocess.PIPE, text=True,
      ))
    with runs.ending(*processes):
      outputs = [process.communicate(timeout=120)[0] for process in processes]
    expected = [
        [[2**62, 0], [2**62 + 1, -1]],
        ['', 'größer\n' * 200],
        ['', ''],
    ]
    self.assertEqual([json.loads(each) for each in outputs], [expected] * 2)


if __name__ == '__main__':
  absltest.main()
