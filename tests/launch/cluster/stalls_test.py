"""Tests of launch.cluster.stalls."""

from __future__ import annotations

import threading
import time

import pytest
from absl.testing import absltest, parameterized

from launch.cluster import stalls
from tests.launch import runs, workers


def _started(who, place):
  return [
      runs.start_python(
          '-m',
          'tests.launch.cluster.stalling',
          str(who),
          place,
          environment=environment,
      )
      for environment in workers.environments(2)
  ]


class StallsTest(parameterized.TestCase):

  def test_where(self):
    stops = threading.Event()
    thread = threading.Thread(target=stops.wait)
    thread.start()
    try:
      self.assertRegex(
          stalls.where(thread.ident, 0.01), r'^/.*/threading\.py:\d+ \(wait\)$'
      )
    finally:
      stops.set()
      thread.join()

  @pytest.mark.medium
  def test_who_hangs_is_named_and_all_end(self):
    """In Python, as in a hook, and in data that do not come; either worker."""
    pairs = {(1, 'hook'): _started(1, 'hook'), (0, 'data'): _started(0, 'data')}
    with runs.ending(*(each for pair in pairs.values() for each in pair)):
      for (who, _), pair in pairs.items():
        while all(each.poll() is None for each in pair):
          time.sleep(0.02)
        # The first to go, which is whom a launcher leaves out.
        self.assertIsNotNone(pair[who].poll())
        ends = list(map(runs.finish, pair))
        for index, ended in enumerate(ends):
          self.assertEqual(ended.code, 1, ends)
          self.assertEqual(ended.out, 'so far\n', ends)
          [line] = [
              each for each in ended.err.splitlines() if 'stalling: ' in each
          ]
          self.assertNotIn('Traceback', ended.err)
          other = rf'has waited \d+ s for worker {who} \(\S+\), alive but '
          late = r'keeps others waiting, after \d+ s at \S+stalling.py:\d+ \('
          self.assertRegex(
              line,
              rf'worker {index} \(\S+\) {late if index == who else other}',
          )


if __name__ == '__main__':
  absltest.main()
