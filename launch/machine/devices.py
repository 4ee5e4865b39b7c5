"""Sets up the devices and the distribution strategy of a program."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from core import distribution

from .. import config as config_lib
from .. import programs
from ..cluster import resolving
from . import together

_mirrored: dict[tuple[str, ...], tf.distribute.Strategy] = {}


def has_nvidia_driver(root: str = '/') -> bool:
  """Returns whether NVIDIA's driver runs on this machine.

  Args:
    root: The root of the file system.
  """
  path = pathlib.Path(root)
  is_loaded = (path / 'proc/driver/nvidia/version').exists()
  return is_loaded or any((path / 'dev').glob('nvidia[0-9]*'))


def _say_if_gpus_are_left_out() -> None:
  """Prints a note if TensorFlow cannot use the GPUs of this machine.

  Our log level hides TensorFlow's own warning.
  """
  is_hidden = os.environ.get('CUDA_VISIBLE_DEVICES') in ('', '-1')
  if is_hidden or tf.config.list_physical_devices('GPU'):
    return
  if has_nvidia_driver():
    programs.note(
        'this machine has an NVIDIA driver, but TensorFlow finds no GPU and '
        'will use the CPU. `pip install "tensorflow[and-cuda]=='
        f'{tf.__version__}"` installs the CUDA libraries; ./run.sh does so '
        'automatically.'
    )


def strategy(
    name: str,
    num_virtual_devices: int | None = None,
    *,
    told: Mapping[str, Any] | None = None,
    start_timeout: float = config_lib.Config.start_timeout,
) -> tf.distribute.Strategy:
  """Sets up devices and creates a strategy; call it before any operation.

  Args:
    name: The value of --strategy.
    num_virtual_devices: How many devices to split the CPU into. If given, GPUs
      are not used.
    told: The values that must be equal on all workers, by name.
    start_timeout: How many seconds workers wait for each other.

  Raises:
    UserError: If the description of the workers is missing or wrong, their
      values differ, or the flags do not fit them.
    Failure: If workers are still missing after the timeout.
  """
  members = resolving.resolve(name, num_virtual_devices)
  if not num_virtual_devices:
    _say_if_gpus_are_left_out()
  else:
    _set_virtual_devices(num_virtual_devices)
  try:
    if members is not None:
      return together.begin(members, dict(told or {}), start_timeout)
    return _first_like(distribution.create(name))
  except programs.Failure:
    raise
  except (ValueError, KeyError, TypeError) as error:
    raise programs.UserError(f'--strategy={name}: {error!r}') from error


def leave_gpus() -> None:
  """Leaves GPUs to other programs, unless this process uses them already."""
  with contextlib.suppress(RuntimeError):
    tf.config.set_visible_devices([], 'GPU')


def _first_like(created: tf.distribute.Strategy) -> tf.distribute.Strategy:
  """Returns the first strategy of the process over the same devices.

  Variables of different strategies cannot be mixed, and a second run may use
  variables of the first.
  """
  if not isinstance(created, tf.distribute.MirroredStrategy):
    return created
  devices = tuple(created.extended.worker_devices)
  return _mirrored.setdefault(devices, created)


def _set_virtual_devices(number: int) -> None:
  """Splits the CPU, and hides GPUs.

  Raises:
    UserError: If TensorFlow has already initialized other devices.
  """
  try:
    tf.config.set_visible_devices([], 'GPU')
    distribution.set_virtual_devices(number)
  except RuntimeError as error:
    # Listing the devices initializes them, so it comes last.
    devices = tf.config.list_logical_devices()
    if [device.device_type for device in devices] != ['CPU'] * number:
      raise programs.UserError(
          f'--num_virtual_devices={number}: TensorFlow has already initialized '
          'its devices in this process; start a new one.'
      ) from error
