"""Tests of launch.periods: when a run logs, validates and saves."""

from __future__ import annotations

from absl.testing import absltest

from launch import periods
from tests.launch import runs


class PeriodsTest(absltest.TestCase):

  def _steps(self, name, *args, **changes):
    each = periods.Periods(runs.config(**changes), 4, 10)
    return [s for s in range(1, 11) if getattr(each, name)(s, *args)]

  def test_steps(self):
    self.assertEqual(
        self._steps('is_row', log_every_steps=3), [3, 4, 6, 8, 9, 10]
    )
    self.assertEqual(self._steps('is_epoch_end'), [4, 8, 10])
    for is_due, steps in ((False, [10]), (True, [4, 8, 10])):
      self.assertEqual(
          self._steps('is_checkpoint', is_due, checkpoint_every_steps=None),
          steps,
      )
    self.assertEqual(
        self._steps('is_checkpoint', True, checkpoint_every_steps=6), [6, 10]
    )

  def test_the_next_is_the_first_of_all(self):
    config = runs.config(log_every_steps=3, checkpoint_every_steps=5)
    each = periods.Periods(config, 4, 10)
    step, seen = 0, []
    while step < 10:
      step = each.next(step)
      seen.append(step)
    self.assertEqual(seen, [3, 4, 5, 6, 8, 9, 10])


if __name__ == '__main__':
  absltest.main()
