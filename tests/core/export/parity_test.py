"""Tests of the comparison of an export with its model."""

from __future__ import annotations

import numpy as np
from absl.testing import absltest, parameterized

from core import export


class ParityTest(parameterized.TestCase):

  def test_values(self):
    reference = np.array([[0.5, 0.5, 0], [0.25, 0.5, 0.25]], np.float32)
    candidate = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]], np.float32)
    parity = export.compare(reference, candidate)
    self.assertEqual(parity.num_examples, 2)
    self.assertEqual(parity.max_difference, 0.25)
    self.assertAlmostEqual(parity.mean_difference, 1 / 6)
    self.assertEqual(parity.num_disagreements, 1)

  @parameterized.parameters(
      (0.0, True), (0.9e-4, True), (1.1e-4, False), (np.nan, False)
  )
  def test_limit(self, difference, expected):
    reference = np.full([3, 2], 0.5)
    candidate = reference.copy()
    candidate[1, 1] += difference
    self.assertEqual(export.compare(reference, candidate).within(), expected)

  @parameterized.parameters(
      ([3, 2], [3, 1], 'candidate'),
      ([3, 2], [2, 2], 'candidate'),
      ([0, 2], [0, 2], 'reference'),
      ([3], [3], 'reference'),
  )
  def test_refuses_shapes(self, reference, candidate, argument):
    with self.assertRaisesRegex(ValueError, f'{argument}: .*shape'):
      export.compare(np.zeros(reference), np.zeros(candidate))


if __name__ == '__main__':
  absltest.main()
