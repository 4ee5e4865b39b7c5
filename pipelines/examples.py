"""The name that `pipelines.in_memory` had in the release before."""

from __future__ import annotations

import warnings
from typing import Any

from . import in_memory

_FORMER = {'Examples': 'InMemorySplit', 'eval_rows': 'eval_keys'}


def __getattr__(name: str) -> Any:
  """Returns a member of `in_memory`, by its former name or that of now."""
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
