"""What JAX' contenders share: precision and device."""

from __future__ import annotations

import jax

from tests.benchmarks import protocol


def setup(run: protocol.Run) -> None:
  """Sets how float32 products are computed on a GPU; a CPU is exact."""
  exact = run.precision == 'float32'
  jax.config.update(
      'jax_default_matmul_precision', 'float32' if exact else 'tensorfloat32'
  )


def name() -> str:
  """Names the device that JAX computes on."""
  device = jax.devices()[0]
  return 'cpu' if device.platform == 'cpu' else device.device_kind
