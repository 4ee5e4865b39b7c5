"""The deprecated name of `pipelines.in_memory`."""

from __future__ import annotations

import warnings
from typing import Any

from . import in_memory

_FORMER = {'Examples': 'InMemorySplit', 'eval_rows': 'eval_keys'}


def __getattr__(name: str) -> Any:
  """Returns a member of `in_memory` by its current or former name."""
  now = _FORMER.get(name, name)
  value = getattr(in_memory, now)
  if not name.startswith('__'):
    warnings.warn(
        f'pipelines.examples.{name} is deprecated; use '
        f'pipelines.in_memory.{now}.',
        DeprecationWarning,
        stacklevel=2,
    )
  return value
