"""Describes what else a run depends on: versions, machine, source."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import re
import resource
import subprocess
from typing import Any

from .. import about

_PACKAGES = (
    'tensorflow',
    'dm-sonnet',
    'tensorflow-datasets',
    'absl-py',
    'chex',
    'numpy',
)
# Variables that choose kernels, and thereby affect rounding.
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


def machine() -> dict[str, Any]:
  """Describes the devices and the memory of this process, for result.json.

  Returns:
    `devices`, the processor first; `cpus`, the number of usable cores; and
    `peak_memory_bytes`, by `host` or device.
  """
  import tensorflow as tf

  devices = [_processor()]
  for device in tf.config.get_visible_devices('GPU'):
    with contextlib.suppress(Exception):  # A run must not fail for this.
      details = tf.config.experimental.get_device_details(device)
      devices.append(details.get('device_name', device.name))
  return {
      'devices': devices,
      'cpus': num_cpus(),
      'peak_memory_bytes': peaks(),
  }


def num_cpus() -> int:
  """Returns the number of cores that this process may use."""
  affinity = getattr(os, 'sched_getaffinity', None)  # Not on macOS.
  return len(affinity(0)) if affinity else os.cpu_count() or 1


def load_warnings(load: float, cpus: int) -> list[str]:
  """Returns a sentence if other processes slow down measurements.

  Args:
    load: The number of busy processes, as `os.getloadavg` returns it.
    cpus: The number of cores.
  """
  if load <= 1.5 * cpus:
    return []
  return [
      'Other processes are slowing this machine down: its load is '
      f'{load:.1f}, on {cpus} CPUs.'
  ]


def peaks() -> dict[str, int]:
  """Returns the peak memory in bytes, by `host` or device."""
  import tensorflow as tf

  found = {'host': peak_memory()}
  for device in tf.config.list_logical_devices('GPU'):
    name = device.name.removeprefix('/device:')
    with contextlib.suppress(Exception):  # A run must not fail for this.
      found[name] = tf.config.experimental.get_memory_info(name)['peak']
  return found


def peak_memory() -> int:
  """Returns the peak memory of this process, in bytes."""
  # On Linux ru_maxrss starts from the parent process's peak.
  with contextlib.suppress(OSError):
    text = pathlib.Path('/proc/self/status').read_text()
    if found := re.search(r'^VmHWM:\s*(\d+) kB$', text, re.MULTILINE):
      return int(found[1]) * 1024
  # In KiB, but on macOS in bytes.
  unit = 1 if platform.system() == 'Darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _processor() -> str:
  """Returns the name of the processor, or else its architecture."""
  with contextlib.suppress(OSError):
    text = pathlib.Path('/proc/cpuinfo').read_text()
    if found := re.search(r'^model name\s*: (.*)$', text, re.MULTILINE):
      return found[1]
  return platform.processor() or platform.machine()


def _git_revision() -> str | None:
  """Returns the revision of a checkout, with a + for uncommitted changes."""
  here = pathlib.Path(__file__).parents[1]
  if not (here.parent / 'pyproject.toml').is_file():
    return None  # An installed wheel may be inside another repository.
  command = ['git', 'describe', '--always', '--abbrev=40', '--dirty=+']
  try:
    done = subprocess.run(
        command, cwd=here, capture_output=True, text=True, check=True
    )
  except (OSError, subprocess.CalledProcessError):
    return None
  return done.stdout.strip()
