"""Settings that XLA reads once, from the environment.

They must be made before anything is compiled, some of them before TensorFlow is
imported: hence it is not imported here.
"""

from __future__ import annotations

import importlib.metadata
import os
import re

# XLA ends the process over a flag that it does not know: what is set here was
# seen to be known by these versions of TensorFlow.
_KNOWN_BY = ('2.21.',)
_SMALLEST_BATCH_FOR_EIGEN = 64


def add(flag: str, value: object, variable: str = 'XLA_FLAGS') -> None:
  """Adds a flag to an environment variable, unless the user has set it.

  Args:
    flag: The name of the flag, without dashes.
    value: Its value, which may have spaces.
    variable: The environment variable: `XLA_FLAGS`, or `TF_XLA_FLAGS` for those
      of TensorFlow's bridge to XLA.
  """
  flags = os.environ.get(variable, '')
  if not re.search(rf'--?{re.escape(flag)}(=|\s|$)', flags):
    os.environ[variable] = f'{flags} --{flag}={_quoted(str(value))}'.strip()


def _quoted(value: str) -> str:
  """Quotes what XLA would cut at a space, as in the name of a folder."""
  if not re.search(r'[\s"\'\\]', value):
    return value
  escaped = value.replace('\\', r'\\').replace('"', r'\"')
  return f'"{escaped}"'


def for_cpu(batch_size: int) -> dict[str, object]:
  """Returns flags with which XLA's programs for CPUs are faster.

  They let it take all 512 bits of vectors, where the processor has them,
  instead of 256; and products of matrices from Eigen instead of YNNPACK, which
  is slower but for small batches.

  Args:
    batch_size: The number of examples in a step.

  Returns:
    Values by the names of flags.
  """
  flags: dict[str, object] = {'xla_cpu_prefer_vector_width': 512}
  if batch_size >= _SMALLEST_BATCH_FOR_EIGEN:
    flags['xla_cpu_experimental_ynn_fusion_type'] = ''
  return flags


def tune_for_cpu(batch_size: int) -> None:
  """Sets the flags of `for_cpu`: call it before anything is compiled.

  What the user has set stays, and a version of TensorFlow that may not know
  the flags is left alone.

  Args:
    batch_size: The number of examples in a step.
  """
  if importlib.metadata.version('tensorflow').startswith(_KNOWN_BY):
    for flag, value in for_cpu(batch_size).items():
      add(flag, value)
