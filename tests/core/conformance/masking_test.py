"""Masked = sliced: padding of weight 0 is as if it were not there."""

from __future__ import annotations

import numpy as np
from absl.testing import absltest, parameterized

from tests.core.conformance import member, table

_WEIGHTS = np.float32([1, 0, 1, 0.5, 0, 1])
_KEPT = _WEIGHTS > 0


class MaskingTest(parameterized.TestCase):

  @parameterized.named_parameters(*table.named())
  def test_masked_is_sliced(self, name):
    line = table.MEMBERS[name]
    subject = line.make()
    padded = line.batch(_WEIGHTS)
    sliced = {name: value[_KEPT] for name, value in padded.items()}
    with line.holds(self, 'masked'):
      examples, rest = member.results(subject, member.tensors(padded))
      expected, expected_rest = member.results(subject, member.tensors(sliced))
      if 'gradient' in examples:
        np.testing.assert_array_equal(examples['gradient'][~_KEPT], 0)
      examples = {name: value[_KEPT] for name, value in examples.items()}
      member.assert_same(examples, expected, 2e-5)
      member.assert_same(rest, expected_rest, 2e-5)


if __name__ == '__main__':
  absltest.main()
