"""Tests of launch.training.periods: when a run logs, validates and saves."""

from __future__ import annotations

from absl.testing import absltest

from launch.training import periods


class PeriodsTest(absltest.TestCase):

  def test_the_next(self):
    at = periods.Periods(steps_per_epoch=4, num_steps=10)
    for period, steps in ((3, [3, 6, 9, 10]), (5, [5, 10]), (99, [10])):
      step, seen = 0, []
      while step < 10:
        step = at.next(step, period)
        seen.append(step)
      self.assertEqual(seen, steps)
      # From between two of them on, too.
      self.assertEqual(at.next(steps[0] - 1, period), steps[0])
    self.assertEqual([at.next_epochs(s) for s in (0, 3, 4, 9)], [4, 4, 8, 10])
    self.assertEqual([at.next_epochs(s, 2) for s in (0, 7, 8)], [8, 8, 10])

  def test_the_end_of_an_epoch(self):
    at = periods.Periods(steps_per_epoch=4, num_steps=10)
    ends = [step for step in range(1, 11) if at.is_epoch_end(step)]
    self.assertEqual(ends, [4, 8, 10])
    self.assertEqual([at.epochs(step) for step in (2, 4, 10)], [0.5, 1, 2.5])


if __name__ == '__main__':
  absltest.main()
