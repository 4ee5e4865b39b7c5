"""Whether the files of a run's data are those that it began with, unread."""

from __future__ import annotations

from pipelines.sources import stamps

from . import config as config_lib
from . import own, starts


def stamp(config: config_lib.Config) -> str | None:
  """Returns what tells the files of a config's data set from changed ones.

  Args:
    config: The config.

  Returns:
    See `stamps.of`; None also of a data set that a function makes.
  """
  name = config.dataset
  return None if not isinstance(name, str) or own.is_part(name) else (
      stamps.of(name)
  )


def may_differ(before: starts.Start, config: config_lib.Config) -> bool:
  """Returns whether a run's data have to be read to know if they changed.

  Args:
    before: How the run was last started.
    config: The config of this start.

  Returns:
    Whether they have; False of sets without a stamp, such as those of TFDS, of
    files that are gone, and of runs of older versions: nothing is compared.
  """
  now = stamp(config)
  return None not in (before.files, now) and now != before.files
