"""Checks early that the packages of an extra are installed."""

from __future__ import annotations

import importlib.util

from . import about, programs


def require(extra: str) -> None:
  """Checks that the packages of an extra of the wheel are installed.

  Raises:
    UserError: If one is missing.
  """
  for package in about.EXTRAS[extra]:
    if importlib.util.find_spec(package) is None:
      remedy = about.how_to_get(package)
      raise programs.UserError(f'No module named {package!r}{remedy}.')
