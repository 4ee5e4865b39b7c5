"""Tests of core.waits."""

from __future__ import annotations

import time
from unittest import mock

from absl.testing import absltest

from core import waits


class WaitsTest(absltest.TestCase):

  def test_the_end_of_a_wait_begins_the_one_around_it_anew(self):
    with mock.patch.object(time, 'monotonic') as clock:

      def at(now):
        clock.return_value = now
        return waits.now()

      at(0.0)
      with self.assertRaises(KeyError), waits.waiting():
        self.assertEqual(at(5.0), (True, 5.0))
        with waits.waiting():
          self.assertEqual(at(7.0), (True, 2.0))
        self.assertEqual(at(8.0), (True, 1.0))
        raise KeyError
      self.assertEqual(at(10.0), (False, 2.0))


if __name__ == '__main__':
  absltest.main()
