"""Detects changed data files without reading their contents."""

from __future__ import annotations

from pipelines.sources import stamps

from .. import config as config_lib
from . import starts


def stamp(config: config_lib.Config) -> str | None:
  """Returns `stamps.of` a config's data set, or None if a function makes it."""
  name = config.dataset
  return stamps.of(name) if isinstance(name, str) else None


def may_differ(before: starts.Start, config: config_lib.Config) -> bool:
  """Returns whether the data may have changed since the last start of a run.

  The result is False if a stamp is missing, as for TFDS data sets, for missing
  files, and for runs of older versions.
  """
  now = stamp(config)
  return None not in (before.files, now) and now != before.files
