"""Whether the files of a run's data are those that it began with, unread."""

from __future__ import annotations

from pipelines.sources import stamps

from . import config as config_lib
from . import starts


def stamp(config: config_lib.Config) -> str | None:
  """Returns what tells the files of a config's data set from changed ones.

  Args:
    config: The config.

  Returns:
    See `stamps.of`; None also for a data set that a function makes.
  """
  name = config.dataset
  return stamps.of(name) if isinstance(name, str) else None


def may_differ(before: starts.Start, config: config_lib.Config) -> bool:
  """Returns whether a run's data have to be read to know if they changed.

  Args:
    before: How the run was last started.
    config: The config of this start.

  Returns:
    Whether they have to be. Nothing is compared, and the answer is False, for
    sets without a stamp, such as those of TFDS, for files that are gone, and
    for runs of older versions.
  """
  now = stamp(config)
  return None not in (before.files, now) and now != before.files
