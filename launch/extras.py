"""What the extras of the wheel bring, looked for before it is needed."""

from __future__ import annotations

import importlib.util

from . import about, programs


def require(extra: str) -> None:
  """Checks that what an extra of the wheel brings is there.

  Raises:
    UserError: If a package of it is missing.
  """
  for package in about.EXTRAS[extra]:
    if importlib.util.find_spec(package) is None:
      remedy = about.how_to_get(package)
      raise programs.UserError(f'No module named {package!r}{remedy}.')
