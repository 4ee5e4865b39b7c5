"""Settings that XLA reads once from the environment.

They must be set before anything is compiled, some before TensorFlow is
imported, so this module does not import it.
"""

from __future__ import annotations

import importlib.metadata
import os
import re

# XLA aborts the process on unknown flags. These versions of TensorFlow are
# known to accept the flags set here.
_KNOWN_BY = ('2.21.',)
_SMALLEST_BATCH_FOR_EIGEN = 64


def add(flag: str, value: object, variable: str = 'XLA_FLAGS') -> None:
  """Adds a flag to an environment variable, unless the user has set it.

  Args:
    flag: The name of the flag, without dashes.
    value: Its value, which may contain spaces.
    variable: The environment variable: `XLA_FLAGS`, or `TF_XLA_FLAGS` for flags
      of TensorFlow's bridge to XLA.
  """
  flags = os.environ.get(variable, '')
  if not re.search(rf'--?{re.escape(flag)}(=|\s|$)', flags):
    os.environ[variable] = f'{flags} --{flag}={_quoted(str(value))}'.strip()


def _quoted(value: str) -> str:
  """Quotes values that XLA would split at spaces, such as folder names."""
  if not re.search(r'[\s"\'\\]', value):
    return value
  escaped = value.replace('\\', r'\\').replace('"', r'\"')
  return f'"{escaped}"'


def for_cpu(batch_size: int) -> dict[str, object]:
  """Returns flags that make XLA's CPU programs faster.

  They enable 512-bit instead of 256-bit vectors, where supported, and Eigen's
  matrix products instead of YNNPACK's, which are slower for large batches.

  Args:
    batch_size: The number of examples per step.

  Returns:
    Values by the names of flags.

  Raises:
    TypeError: If the batch size is not an integer.
    ValueError: If it is not positive.
  """
  if not hasattr(batch_size, '__index__'):
    raise TypeError(f'batch_size: expected an integer, got {batch_size!r}.')
  if batch_size < 1:
    raise ValueError(f'batch_size: expected at least 1, got {batch_size}.')
  flags: dict[str, object] = {'xla_cpu_prefer_vector_width': 512}
  if batch_size >= _SMALLEST_BATCH_FOR_EIGEN:
    flags['xla_cpu_experimental_ynn_fusion_type'] = ''
  return flags


def tune_for_cpu(batch_size: int) -> None:
  """Sets the flags of `for_cpu`. Call it before anything is compiled.

  Flags set by the user are kept. Nothing is set for versions of TensorFlow that
  may not know the flags.

  Args:
    batch_size: The number of examples per step.

  Raises:
    TypeError, ValueError: As for `for_cpu`.
  """
  wanted = for_cpu(batch_size)
  if importlib.metadata.version('tensorflow').startswith(_KNOWN_BY):
    for flag, value in wanted.items():
      add(flag, value)
