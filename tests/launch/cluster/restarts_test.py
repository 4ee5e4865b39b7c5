"""Tests of launch.cluster.restarts."""

from __future__ import annotations

import json
import pathlib

from absl.testing import absltest, parameterized

from launch.cluster import restarts
from tests.launch import runs

# Exit codes 0 and 2 are not tried again, 1 and 128 + n are.
_TRIED_AGAIN = {1: True, 2: False, 129: True, 130: True, 137: True, 143: True}


def _decide(policy, *failures):
  """Decides about failures, each (code, worker, step); returns the last one."""
  for failure in failures:
    decision = policy.decide(restarts.Failure(*failure))
  return decision


class PolicyTest(parameterized.TestCase):

  @parameterized.parameters(*_TRIED_AGAIN.items())
  def test_exit_codes(self, code, is_again):
    decision = _decide(restarts.Policy(2, 2, 3), (code, 0, 7))
    self.assertEqual(decision.again, is_again)
    self.assertIsNone(decision.without)

  @parameterized.parameters(
      ([(1, 0, 7), (1, 0, 7)], False),  # The same step.
      ([(1, 0, None), (1, 0, None)], False),  # Before the first row.
      ([(1, 0, 7), (137, 1, 7)], False),  # Whichever worker it was.
      ([(1, 0, 7), (1, 0, 8)], True),
      ([(1, 0, None), (1, 0, 7)], True),
      ([(1, 0, 7), (1, 0, 8), (1, 0, 7)], True),  # Not one after the other.
      ([(1, 0, 7), (1, 0, 8), (1, 0, 9), (1, 0, 10)], False),  # The fourth.
  )
  def test_failures_one_after_another(self, failures, is_again):
    decision = _decide(restarts.Policy(2, 2, 3), *failures)
    self.assertEqual((decision.again, decision.without), (is_again, None))

  def test_without_restarts(self):
    decision = _decide(restarts.Policy(2, 2, 0), (1, 0, 7))
    self.assertEqual(
        (decision.again, decision.reason), (False, '--max_restarts=0')
    )

  def test_a_worker_that_is_lost_twice_is_left_out_down_to_the_minimum(self):
    policy = restarts.Policy(4, 2, 10)
    for left in (3, 2):
      self.assertIsNone(_decide(policy, (137, 1, 7)).without)
      decision = _decide(policy, (137, 1, 7))
      self.assertEqual((decision.again, decision.without), (True, 1))
      self.assertIn(f'with {left} workers', decision.reason)
    decision = _decide(policy, (137, 1, 7), (137, 1, 7))
    self.assertEqual((decision.again, decision.without), (False, None))

  def test_nobody_is_left_out_if_it_was_another_one_each_time(self):
    policy = restarts.Policy(4, 2, 10)
    decision = _decide(policy, (137, 1, 7), (137, 2, 7))
    self.assertEqual((decision.again, decision.without), (False, None))


class LastStepTest(parameterized.TestCase):

  @parameterized.parameters(
      ([], [], None),
      ([7, 14], [], 14),
      ([], [15], 15),
      ([7, 14], [5, 10], 14),
      ([7, 14], [15], 15),
      ([21, 14], [], 14),  # What comes after a restart counts.
  )
  def test_rows_and_checkpoints(self, rows, checkpoints, expected):
    folder = pathlib.Path(runs.scratch(self))
    (folder / 'checkpoints').mkdir()
    (folder / 'metrics.jsonl').write_text(
        ''.join(
            json.dumps({'step': step, 'split': 'train'}) + '\n' for step in rows
        )
    )
    for step in checkpoints:
      (folder / 'checkpoints' / f'ckpt-{step}.index').touch()
    self.assertEqual(restarts.last_step(str(folder)), expected)

  def test_a_run_that_is_not_there(self):
    self.assertIsNone(restarts.last_step(None))
    self.assertIsNone(restarts.last_step('/nowhere/at/all'))


if __name__ == '__main__':
  absltest.main()
