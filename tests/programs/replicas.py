"""Whether training on several replicas was that on one."""

from __future__ import annotations

import numpy as np

from core import distribution, training


def assert_same(one: training.TrainState, several: training.TrainState) -> None:
  """Asserts that states are equal to rounding, and replicas to the bit.

  Args:
    one: The state that was trained on one replica.
    several: The state that was trained on several.
  """
  named = several.named_variables()
  assert not distribution.unequal_replicas(named)
  for path, variable in one.named_variables().items():
    np.testing.assert_allclose(
        variable.numpy(),
        named[path].numpy(),
        rtol=1e-2,
        atol=1e-3,
        err_msg=path,
    )
