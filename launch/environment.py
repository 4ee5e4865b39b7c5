"""What a run depends on besides its flags: versions, machine, source."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

from . import about

_PACKAGES = (
    'tensorflow', 'dm-sonnet', 'tensorflow-datasets', 'absl-py', 'chex', 'numpy'
)
# They choose kernels, and with them the rounding of a run.
_VARIABLES = ('TF_ENABLE_ONEDNN_OPTS', 'XLA_FLAGS')


def describe() -> dict[str, Any]:
  """Describes the environment of this process, for config.json."""
  return {
      'quatrain': about.version(),
      'python': platform.python_version(),
      'machine': platform.machine(),
      'packages': {
          name: importlib.metadata.version(name) for name in _PACKAGES
      },
      'variables': {
          name: os.environ[name] for name in _VARIABLES if name in os.environ
      },
      'git_revision': _git_revision(),
  }


def _git_revision() -> str | None:
  """Returns the revision of a checkout, with a + for uncommitted changes."""
  here = pathlib.Path(__file__).parent
  if not (here.parent / 'pyproject.toml').is_file():
    return None  # The wheel may lie in a repository of its user.
  command = ['git', 'describe', '--always', '--abbrev=40', '--dirty=+']
  try:
    done = subprocess.run(
        command, cwd=here, capture_output=True, text=True, check=True
    )
  except (OSError, subprocess.CalledProcessError):
    return None
  return done.stdout.strip()
