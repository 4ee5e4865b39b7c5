"""Settings that XLA reads once, from the environment.

They must be made before anything is compiled, some of them before TensorFlow is
imported: hence it is not imported here.
"""

from __future__ import annotations

import importlib.metadata
import os

# XLA ends the process over a flag that it does not know: what is set here was
# seen to be known by these versions of TensorFlow.
_KNOWN_BY = ('2.21.',)
_SMALLEST_BATCH_FOR_EIGEN = 64


def add(flag: str, value: object, variable: str = 'XLA_FLAGS') -> None:
  """Adds a flag to an environment variable, unless the user has set it.

  Args:
    flag: The name of the flag, without dashes.
    value: Its value.
    variable: The environment variable: `XLA_FLAGS`, or `TF_XLA_FLAGS` for those
      of TensorFlow's bridge to XLA.
  """
  flags = os.environ.get(variable, '')
  if flag not in flags:
    os.environ[variable] = f'{flags} --{flag}={value}'.strip()


def tune_for_cpu(batch_size: int) -> None:
  """Has XLA compile faster programs for CPUs than it does by itself.

  It takes all 512 bits of vectors, where the processor has them, instead of
  256; and products of matrices from Eigen instead of YNNPACK, which is slower
  but for small batches. Call it before anything is compiled. Flags that the
  user has set stay, and a version of TensorFlow that may not know them is left
  alone.

  Args:
    batch_size: The number of examples in a step.
  """
  if not importlib.metadata.version('tensorflow').startswith(_KNOWN_BY):
    return
  add('xla_cpu_prefer_vector_width', 512)
  if batch_size >= _SMALLEST_BATCH_FOR_EIGEN:
    add('xla_cpu_experimental_ynn_fusion_type', '')
