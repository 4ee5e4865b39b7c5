"""Tests of the counts of skipped steps; see also conformance/skipping_test."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import skipping


class SkippingTest(parameterized.TestCase):

  def test_counts(self):
    counts, seen = skipping.init(), []
    for is_skipped in (False, True, True, False, True):
      counts = skipping.count(counts, tf.constant(is_skipped))
      seen.append(tuple(int(number) for number in counts))
    self.assertEqual(
        seen, [(0, 0, 0), (1, 1, 1), (2, 2, 2), (2, 0, 2), (3, 1, 2)]
    )

  @parameterized.product(is_skipped=(False, True), value=(1.0, np.nan, np.inf))
  def test_only_what_is_skipped_and_not_finite_is_left_out(
      self, is_skipped, value
  ):
    sums = {'loss': tf.constant([2.0, value]), 'count': tf.constant(3)}
    measured = skipping.measured(sums, tf.constant(is_skipped))
    is_left_out = is_skipped and not np.isfinite(value)
    for name, each in sums.items():
      np.testing.assert_array_equal(
          measured[name], np.zeros_like(each) if is_left_out else each
      )


if __name__ == '__main__':
  absltest.main()
