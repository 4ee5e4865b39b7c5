"""Tests of launch.cluster.slurm."""

from __future__ import annotations

import shutil
import subprocess

from absl.testing import absltest, parameterized

from launch import programs
from launch.cluster import slurm

_LISTS = {
    'n1': ['n1'],
    'n[9-10,12]': ['n9', 'n10', 'n12'],
    'n[009-011]': ['n009', 'n010', 'n011'],
    'a,b[1-2],c': ['a', 'b1', 'b2', 'c'],
    'b2,a1': ['b2', 'a1'],
    'r[1-2]n[1-2]': ['r1n1', 'r1n2', 'r2n1', 'r2n2'],
    'n[1,3]-gpu': ['n1-gpu', 'n3-gpu'],
    '127.0.0.[1-2]': ['127.0.0.1', '127.0.0.2'],
}


def _step(counts, rank, *, cyclic=False, **changes):
  """Returns the variables of a task as Slurm sets them."""
  block = [node for node, count in enumerate(counts) for _ in range(count)]
  dealt = sorted(
      (turn, node) for node, count in enumerate(counts) for turn in range(count)
  )
  nodes = [node for _, node in dealt] if cyclic else block
  here = [i for i, node in enumerate(nodes) if node == nodes[rank]]
  return {
      'SLURM_STEP_NUM_TASKS': str(sum(counts)),
      'SLURM_STEP_TASKS_PER_NODE': ','.join(map(str, counts)),
      'SLURM_STEP_NODELIST': f'n[9-{8 + len(counts)}]',
      'SLURM_JOB_ID': '7',
      'SLURM_STEP_ID': '0',
      'SLURM_PROCID': str(rank),
      'SLURM_NODEID': str(nodes[rank]),
      'SLURM_GTIDS': ','.join(map(str, here)),
      **changes,
  }


class ExpandTest(parameterized.TestCase):

  @parameterized.parameters(*_LISTS.items())
  def test_in_the_order_of_slurm(self, text, hosts):
    self.assertEqual(slurm.expand(text), hosts)

  def test_slurm_says_the_same(self):
    if shutil.which('scontrol') is None:
      self.skipTest('there is no scontrol')
    for text, hosts in _LISTS.items():
      done = subprocess.run(
          ['scontrol', 'show', 'hostnames', text],
          capture_output=True,
          text=True,
      )
      if done.returncode:
        self.skipTest(done.stderr)
      self.assertEqual(done.stdout.split(), hosts)

  @parameterized.parameters('', 'n[1', 'n1]', 'n[]', 'n[a-b]', 'n[1-2', 'a,,b')
  def test_what_is_none(self, text):
    with self.assertRaisesRegex(programs.UserError, 'NODELIST=.*understood'):
      slurm.expand(text)


class FindTest(parameterized.TestCase):

  @parameterized.parameters(
      {},
      {'SLURM_STEP_NUM_TASKS': '1'},
      # A batch script, whose step is no step of srun.
      {'SLURM_NTASKS': '4', 'SLURM_PROCID': '0', 'SLURM_JOB_ID': '3'},
  )
  def test_an_ordinary_run(self, **environment):
    self.assertIsNone(slurm.find(environment))

  @parameterized.product(
      counts=((1, 1), (2, 2), (3, 1), (1, 3), (4,), (1, 1, 1), (2, 3, 1)),
      cyclic=(False, True),
  )
  def test_all_ranks_find_the_same(self, counts, cyclic):
    distribution = 'cyclic' if cyclic else 'block'
    found = [
        slurm.find(
            _step(counts, rank, cyclic=cyclic, SLURM_DISTRIBUTION=distribution)
        )
        for rank in range(sum(counts))
    ]
    self.assertLen({each.addresses for each in found}, 1)
    self.assertEqual([each.index for each in found], [*range(sum(counts))])
    first = found[0]
    self.assertLen(set(first.addresses), sum(counts))
    for rank, address in enumerate(first.addresses):
      node = int(_step(counts, rank, cyclic=cyclic)['SLURM_NODEID'])
      host, _, port = address.partition(':')
      self.assertEqual(host, f'n{9 + node}')
      self.assertBetween(int(port), 20000, 30000)

  def test_in_turn_shows_without_being_told(self):
    found = slurm.find(_step((2, 2), 2, cyclic=True))
    self.assertEqual(
        [each.partition(':')[0] for each in found.addresses],
        ['n9', 'n10', 'n9', 'n10'],
    )

  def test_older_variables_do_for_counts(self):
    found = slurm.find(_step((2, 2), 3, SLURM_STEP_TASKS_PER_NODE='2(x2)'))
    self.assertEqual(found.size, 4)

  def test_ports_of_successive_jobs(self):
    ports = {
        port
        for job in range(70)
        for step in range(2)
        for port in range(
            slurm.first_port(job, step, 8), slurm.first_port(job, step, 8) + 8
        )
    }
    self.assertLen(ports, 70 * 2 * 8)
    for job, size in ((2**31, 8), (123456, 9999), (5, 20000)):
      self.assertBetween(slurm.first_port(job, 3, size), 20000, 30000)

  @parameterized.parameters(
      ({'SLURM_JOB_ID': ''}, 'SLURM_JOB_ID is not set'),
      ({'SLURM_STEP_NODELIST': 'n[9-11]'}, 'do not fit together'),
      ({'SLURM_STEP_TASKS_PER_NODE': '2x'}, 'is not understood'),
      ({'SLURM_PROCID': '9'}, 'do not fit together'),
      ({'SLURM_PROCID': 'x'}, 'SLURM_PROCID=x: expected a number'),
      ({'SLURM_NODEID': '1'}, 'neither node by node nor in turn'),
      ({'SLURM_GTIDS': '0,3'}, 'neither node by node nor in turn'),
  )
  def test_what_is_refused(self, changes, message):
    with self.assertRaisesRegex(programs.UserError, message):
      slurm.find(_step((2, 2), 0, **changes))


if __name__ == '__main__':
  absltest.main()
